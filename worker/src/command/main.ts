import { createReadStream } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import type { ParseArgsConfig } from "node:util";
import { writeDurably } from "../durable-files.js";
import type { Job } from "../job.js";
import { openStorage } from "../storage.js";
import type { CreateJobOptions, Storage } from "../storage.js";
import { EXIT, UsageError, exitCodeOf } from "./exit-codes.js";
import { HELP } from "./help.js";
import { hold, startHolder } from "./holder.js";
import { runWithJob } from "./run.js";

type OptionName =
  | ("job" | "job-id" | "expected-bytes" | "expected-size-of" | "attributes" | "hold-for")
  | ("resume" | "drain-seconds" | "continuing" | "to");
type Options = Partial<Record<OptionName, string>> & { attribute?: string[]; json?: boolean };

interface Call {
  readonly options: Options;
  readonly positionals: readonly string[];
  /** After `--`. */
  readonly rest: readonly string[];
  /** On stdout: the object with --json, else the text. */
  readonly print: (value: Record<string, unknown>, text: string) => void;
}

interface Command {
  readonly options: readonly (OptionName | "attribute")[];
  /** The least and the most that follow the command. */
  readonly positionals: readonly [number, number];
  readonly run: (call: Call) => Promise<number | void>;
}

const CREATE = ["job-id", "expected-bytes", "expected-size-of", "attribute", "attributes"] as const;

const COMMANDS: Readonly<Record<string, Command>> = {
  run: {
    options: [...CREATE, "resume", "drain-seconds"],
    positionals: [0, 0],
    async run({ options, rest }) {
      if (rest.length === 0) throw new UsageError("run needs a program: video-job run -- CMD [ARGUMENT…]");
      const drainSeconds = wholeNumber(options, "drain-seconds") ?? 10;
      return withStorage(async (storage) => {
        const job =
          options.resume === undefined
            ? await storage.createJob(await creation(options))
            : await storage.resumeJob(options.resume, expected(await expectedBytes(options)));
        const report = (event: Record<string, unknown>): void => console.error(JSON.stringify(event));
        return runWithJob(storage, job, { command: rest, drainSeconds, report });
      });
    },
  },
  create: {
    options: [...CREATE, "hold-for"],
    positionals: [0, 0],
    run: async (call) => begin(call, async (storage) => storage.createJob(await creation(call.options))),
  },
  resume: {
    options: ["job", "expected-bytes", "expected-size-of", "hold-for"],
    positionals: [0, 0],
    run: async (call) =>
      begin(call, async (storage) =>
        storage.resumeJob(jobOf(call.options), expected(await expectedBytes(call.options))),
      ),
  },
  write: {
    options: ["job", "expected-bytes", "continuing"],
    positionals: [1, 2],
    run: async ({ options, positionals: [name, file], print }) =>
      withJob(options, async (job) => {
        const size = file === undefined || file === "-" ? undefined : (await fs.stat(file)).size;
        const expectedBytes = wholeNumber(options, "expected-bytes") ?? size;
        const source = size === undefined ? process.stdin : createReadStream(file!);
        const { continuing } = options;
        const written = await job.writeStream(name!, source, {
          ...expected(expectedBytes),
          ...(continuing === undefined ? {} : { continuing }),
        });
        print({ file: name, ...written }, `${written.sha256}  ${name}`);
      }),
  },
  log: {
    options: ["job"],
    positionals: [1, 1_000],
    run: async ({ options, positionals: [name, ...words] }) =>
      withJob(options, async (job) => {
        if (words.length > 0) return job.appendLog(name!, words.join(" "));
        for await (const line of createInterface({ input: process.stdin })) await job.appendLog(name!, line);
      }),
  },
  complete: {
    options: ["job"],
    positionals: [0, 0],
    run: (call) => change(call, (job) => job.complete()),
  },
  fail: {
    options: ["job"],
    positionals: [1, 1_000],
    run: (call) => change(call, (job) => job.fail(call.positionals.join(" "))),
  },
  stage: {
    options: ["job"],
    positionals: [0, 0],
    run: (call) => change(call, (job) => job.stage()),
  },
  "hand-over": {
    options: ["job"],
    positionals: [0, 0],
    run: (call) => change(call, (job) => job.handOver()),
  },
  fetch: {
    options: ["job", "to"],
    positionals: [0, 1],
    run: async ({ options, positionals: [name], print }) =>
      withStorage(async (storage) => {
        if (name === undefined && options.to === undefined) {
          throw new UsageError("fetch needs the name of a file, or --to with a directory for all of them");
        }
        const view = await storage.openForUpload(jobOf(options));
        try {
          if (options.to === undefined) {
            await pipeline(await view.open(name!), process.stdout, { end: false });
            return;
          }
          const names = name === undefined ? Object.keys(view.files) : [name];
          for (const one of names) {
            const target = path.join(options.to, one);
            await fs.mkdir(path.dirname(target), { recursive: true });
            await writeDurably(path.dirname(target), path.basename(target), await view.open(one));
          }
          print({ jobId: view.identity.jobId, files: view.files }, names.join("\n"));
        } finally {
          view.close();
        }
      }),
  },
  uploaded: {
    options: ["job"],
    positionals: [0, 0],
    run: async ({ options, print }) =>
      withStorage(async (storage) => {
        await storage.markUploaded(jobOf(options));
        print({ jobId: jobOf(options), state: "uploaded" }, "uploaded");
      }),
  },
  show: {
    options: ["job"],
    positionals: [0, 0],
    run: async ({ options, print }) =>
      withStorage(async (storage) => {
        const jobId = jobOf(options);
        const { record, catalogue } = await storage.describe(jobId);
        const files = Object.entries(record?.files ?? {}).map(
          ([name, { bytes, location }]) =>
            `  ${name}  ${bytes} bytes${location ? " (in object storage)" : ""}`,
        );
        print(
          { jobId, record: record ?? null, catalogue: catalogue ?? null },
          [
            `job        ${jobId} of ${storage.tenantId}`,
            `volume     ${record ? `${record.state}, revision ${record.revision}` : "not here"}`,
            `catalogue  ${catalogue ? `${catalogue.state}, ${catalogue.location}, on ${catalogue.volume}` : catalogue === null ? "can't be asked now" : "doesn't know it"}`,
            ...(record?.failure ? [`reason     ${record.failure.reason}`] : []),
            ...(files.length > 0 ? ["files", ...files] : []),
          ].join("\n"),
        );
        if (!record && !catalogue) return EXIT.illegal;
      }),
  },
  hold: {
    options: ["job", "hold-for"],
    positionals: [0, 0],
    run: async ({ options }) => withStorage((storage) => hold(storage, jobOf(options), holdFor(options))),
  },
};

const [name = "", ...args] = process.argv.slice(2);
process.exitCode = await main(name, args);

async function main(name: string, args: readonly string[]): Promise<number> {
  const json = beforeDashes(args).includes("--json");
  try {
    if (["", "help", "--help", "-h"].includes(name)) {
      process.stdout.write(HELP[args[0] ?? ""] ?? HELP[""]!);
      return name === "" ? EXIT.usage : EXIT.done;
    }
    const command = COMMANDS[name];
    if (!command) throw new UsageError(`there is no command ${name}: ${Object.keys(HELP).join(" ").trim()}`);
    if (beforeDashes(args).some((arg) => arg === "--help" || arg === "-h")) {
      process.stdout.write(HELP[name] ?? HELP[""]!);
      return EXIT.done;
    }
    return (await command.run(parse(name, command, args))) ?? EXIT.done;
  } catch (error) {
    const { name: type, message } = error as Error;
    const code = exitCodeOf(error);
    const { reason } = error as { reason?: unknown };
    console.error(
      json
        ? JSON.stringify({ error: { name: type, message, exitCode: code, ...(reason ? { reason } : {}) } })
        : `video-job ${name}: ${message}${code === EXIT.usage ? `\nvideo-job ${name} --help says more.` : ""}`,
    );
    return code;
  }
}

function beforeDashes(args: readonly string[]): readonly string[] {
  const dashes = args.indexOf("--");
  return dashes === -1 ? args : args.slice(0, dashes);
}

function parse(name: string, command: Command, args: readonly string[]): Call {
  const known: NonNullable<ParseArgsConfig["options"]> = { json: { type: "boolean" } };
  for (const option of command.options) {
    known[option] = { type: "string", ...(option === "attribute" && { multiple: true }) };
  }
  const own = beforeDashes(args);
  let parsed: { values: Options; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...own], options: known, allowPositionals: true, strict: true }) as never;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const rest = args.slice(own.length + 1);
  // `log NAME -- LINE`: a line may begin with a hyphen.
  const positionals = name === "run" ? parsed.positionals : [...parsed.positionals, ...rest];
  const [least, most] = command.positionals;
  if (positionals.length < least || positionals.length > most) {
    throw new UsageError(
      `${name} takes ${least === most ? least : `${least} or more`} arguments, not ${positionals.length}`,
    );
  }
  const { json = false } = parsed.values;
  return {
    options: parsed.values,
    positionals,
    rest,
    print: (value, text) => process.stdout.write(`${json ? JSON.stringify(value) : text}\n`),
  };
}

async function withStorage<T>(work: (storage: Storage) => Promise<T>): Promise<T> {
  const environment = process.env;
  const set = <K extends string>(key: K, variable: string): Partial<Record<K, string>> =>
    environment[variable] ? ({ [key]: environment[variable] } as Partial<Record<K, string>>) : {};
  const storage = await openStorage({
    ...set("root", "VIDEO_STORAGE_ROOT"),
    ...set("catalogueCredentials", "VIDEO_STORAGE_CATALOGUE_CREDENTIALS"),
    ...set("objectStorageCredentials", "VIDEO_STORAGE_OBJECT_CREDENTIALS"),
  });
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}

async function withJob<T>(options: Options, work: (job: Job) => Promise<T>): Promise<T> {
  return withStorage(async (storage) => work(await storage.openJob(jobOf(options))));
}

async function change({ options, print }: Call, work: (job: Job) => Promise<void>): Promise<void> {
  await withJob(options, async (job) => {
    await work(job);
    print({ ...job.identity, state: job.state, reported: job.reported }, job.state);
  });
}

/** A job that outlives this process: its lease goes to a holder before it is let go here. */
async function begin({ options, print }: Call, make: (storage: Storage) => Promise<Job>): Promise<void> {
  const pid = holdFor(options);
  await withStorage(async (storage) => {
    const job = await make(storage);
    const { jobId } = job.identity;
    try {
      await startHolder(jobId, pid);
    } catch (error) {
      await job.fail("its lease couldn't be held").catch(() => undefined);
      throw error;
    }
    print({ ...job.identity, directory: job.directory, files: job.files }, jobId);
  });
}

async function creation(options: Options): Promise<CreateJobOptions> {
  const { "job-id": jobId, attribute = [], attributes: file } = options;
  const attributes: Record<string, unknown> = file === undefined ? {} : await attributesFrom(file);
  for (const text of attribute) {
    const at = text.indexOf("=");
    if (at < 1) throw new UsageError(`--attribute ${text} is not KEY=VALUE`);
    attributes[text.slice(0, at)] = text.slice(at + 1);
  }
  return {
    ...expected(await expectedBytes(options)),
    attributes,
    ...(jobId === undefined ? {} : { jobId }),
  };
}

async function attributesFrom(file: string): Promise<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(await fs.readFile(file, "utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch (error) {
    throw new UsageError(`--attributes ${file} can't be read: ${(error as Error).message}`);
  }
  throw new UsageError(`--attributes ${file} holds no JSON object`);
}

async function expectedBytes(options: Options): Promise<number | undefined> {
  const { "expected-size-of": file } = options;
  const given = wholeNumber(options, "expected-bytes");
  if (file === undefined) return given;
  if (given !== undefined) throw new UsageError("give --expected-bytes or --expected-size-of, not both");
  return (await fs.stat(file)).size;
}

function expected(bytes: number | undefined): { expectedBytes?: number } {
  return bytes === undefined ? {} : { expectedBytes: bytes };
}

function wholeNumber(
  options: Options,
  name: "expected-bytes" | "drain-seconds" | "hold-for",
): number | undefined {
  const text = options[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new UsageError(`--${name} ${text} is not a whole number`);
}

function holdFor(options: Options): number {
  const pid = wholeNumber(options, "hold-for");
  if (pid !== undefined && pid > 0) return pid;
  throw new UsageError(
    "--hold-for is missing: the process that the job lives and dies with, $$ in a shell, os.getpid() in Python; " +
      "or let video-job run start your program",
  );
}

function jobOf({ job }: Options): string {
  const found = job ?? process.env["VIDEO_JOB_ID"];
  if (found) return found;
  throw new UsageError("which job? Pass --job, or set VIDEO_JOB_ID");
}
