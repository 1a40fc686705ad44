/**
 * The schedule of one node's sweep: where the minutes of `schedule` are a step that divides the hour (`*` or
 * `*\/10`), the same step begun `order` minutes later, so that nodes with consecutive orders take turns and
 * the cluster meets a node's share of the pods each minute instead of all of them in the first. What is more
 * particular is somebody's own wish and stays as it is. A node's schedule depends on nothing but its own order.
 */
export function spreadSchedule(schedule: string, order: number): string {
  const [minutes, ...rest] = schedule.split(" ");
  const step = minutes === "*" ? 1 : Number(/^\*\/(\d{1,2})$/.exec(minutes!)?.[1]);
  // Another step would make the last turn of the hour a shorter one, and a shift would change its length.
  if (!(step > 1) || 60 % step !== 0) return schedule;
  const first = order % step;
  return [step === 60 ? String(first) : `${first}-59/${step}`, ...rest].join(" ");
}
