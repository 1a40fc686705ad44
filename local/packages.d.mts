export function installPackages(
  project: string,
  run: (command: string, parameters: readonly string[]) => Promise<number>,
): Promise<number>;
