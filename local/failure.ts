/** A failure that its reader can mend: printed without a stack trace. */
export class Failure extends Error {
  override readonly name = "Failure";
  /** What to do next, one sentence or command. */
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}
