import { spawn } from "node:child_process";

/** Every program that the agent starts; what is not here it can't start. */
export type Program =
  | "blkdiscard"
  | "blkid"
  | "cryptsetup"
  | "e2label"
  | "fallocate"
  | "losetup"
  | "mkfs.ext4"
  | "mkfs.xfs"
  | "mount"
  | "partx"
  | "sfdisk"
  | "tpm2_unseal"
  | "umount"
  | "vgchange"
  | "vgcreate"
  | "vgextend"
  | "pvs"
  | "wipefs"
  | "xfs_db";

export interface RunOptions {
  /** Written to the program's standard input: the only way a key reaches one. */
  readonly input?: string | Buffer;
  /** Exit codes besides 0 that are an answer and no failure. */
  readonly answers?: readonly number[];
  /** Whether what the program prints is a secret, which no error may quote. */
  readonly secretOutput?: boolean;
}

export interface Finished {
  readonly code: number;
  readonly stdout: Buffer;
}

/** The one place where the agent acts on the machine by other programs. */
export interface CommandRunner {
  /** Runs a program to its end. Throws {@link CommandFailedError} unless it ends with 0 or one of the answers. */
  run(program: Program, args: readonly string[], options?: RunOptions): Promise<Finished>;
}

/** A program that failed, with what it said. */
export class CommandFailedError extends Error {
  override readonly name = "CommandFailedError";
  readonly program: Program;
  readonly args: readonly string[];
  readonly code: number;
  readonly stderr: string;

  constructor(program: Program, args: readonly string[], code: number, stderr: string) {
    super(
      `${program} ${args.join(" ")} ended with ${code}: ${stderr.trim().split("\n").slice(-3).join("; ") || "it said nothing"}`,
    );
    this.program = program;
    this.args = args;
    this.code = code;
    this.stderr = stderr;
  }
}

// Nothing of the agent's own environment goes to the programs, and their words are those that are parsed here.
const ENVIRONMENT = {
  LC_ALL: "C",
  LVM_SUPPRESS_FD_WARNINGS: "1",
  // In a container no udev answers, and cryptsetup and LVM would wait for one for ever.
  DM_DISABLE_UDEV: "1",
};
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Starts the programs of the machine or container that the agent runs on. */
export function systemRunner(path = process.env["PATH"] ?? PATH): CommandRunner {
  return {
    run: (program, args, { input, answers = [], secretOutput = false } = {}) =>
      new Promise((resolve, reject) => {
        const child = spawn(program, args, {
          stdio: ["pipe", "pipe", "pipe"],
          env: { ...ENVIRONMENT, PATH: path },
        });
        const stdout: Buffer[] = [];
        let stderr = "";
        child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
        child.stderr.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4096)));
        // A program that ends without reading its input has said why by its exit code.
        child.stdin.on("error", () => {});
        child.stdin.end(input);
        child.once("error", (error: NodeJS.ErrnoException) => {
          const said = error.code === "ENOENT" ? "it is not installed" : error.message;
          reject(new CommandFailedError(program, args, 127, said));
        });
        child.once("close", (code, signal) => {
          const status = code ?? 128;
          if (status === 0 || answers.includes(status)) {
            resolve({ code: status, stdout: Buffer.concat(stdout) });
          } else {
            const said = secretOutput ? "(not shown)" : stderr || (signal ? `ended by ${signal}` : "");
            reject(new CommandFailedError(program, args, status, said));
          }
        });
      }),
  };
}
