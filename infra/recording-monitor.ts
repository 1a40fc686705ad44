import * as pulumi from "@pulumi/pulumi";

/** A resource as the program declared it, with the options that Pulumi's own mocks don't tell. */
export interface RecordedResource {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  /** False for components. */
  readonly custom: boolean;
  /** Secret values are wrapped; see {@link unwrapped}. */
  readonly inputs: Record<string, unknown>;
  /** URN of the parent; empty for none. */
  readonly parent: string;
  /** URNs, in order of name: those of `dependsOn`, of its components' children, and of what inputs came from. */
  readonly dependencies: readonly string[];
  /** Of each input, the URNs of the resources that its value came from. */
  readonly propertyDependencies: Readonly<Record<string, readonly string[]>>;
  readonly provider: string;
  readonly protect: boolean;
  readonly retainOnDelete: boolean;
  /** URN of the resource whose deletion takes this one along; empty for none. */
  readonly deletedWith: string;
  readonly deleteBeforeReplace: boolean;
  readonly replaceOnChanges: readonly string[];
  readonly ignoreChanges: readonly string[];
}

/** Everything that was declared. */
export interface Recording {
  readonly resources: RecordedResource[];
  /** URNs of the components that have registered their outputs. */
  readonly finished: string[];
}

/** Makes the state of a resource from its inputs, as its provider would. */
export type StateOf = (
  type: string,
  name: string,
  inputs: Record<string, unknown>,
) => Record<string, unknown>;

export interface RecordingOptions {
  readonly project: string;
  readonly stack: string;
  readonly preview?: boolean;
  /** By default a resource's outputs are its inputs. */
  readonly stateOf?: StateOf;
  /** Is called after each resource, with how many have been declared so far. */
  readonly onDeclared?: (count: number) => void;
}

// What is used of the requests that the SDK sends to the engine (pulumi, proto/resource.proto).
interface RegisterRequest {
  getType(): string;
  getName(): string;
  getParent(): string;
  getCustom(): boolean;
  getProvider(): string;
  getProtect(): boolean;
  getRetainondelete(): boolean;
  getDeletedwith(): string;
  getDeletebeforereplace(): boolean;
  getReplaceonchangesList(): string[];
  getIgnorechangesList(): string[];
  getDependenciesList(): string[];
  getPropertydependenciesMap(): {
    forEach(visit: (dependencies: { getUrnsList(): string[] }, property: string) => void): void;
  };
}
interface Monitor {
  newUrn(parent: string, type: string, name: string): string;
  registerResource(request: RegisterRequest, callback: unknown): Promise<void>;
  registerResourceOutputs(request: { getUrn(): string }, callback: unknown): void;
}

/**
 * Puts Pulumi's in-process monitor in the engine's place and records what is declared from now on. The
 * runtime keeps its state in the module, so a process can do this well only once.
 */
export async function startRecording(options: RecordingOptions): Promise<Recording> {
  const recording: Recording = { resources: [], finished: [] };
  const inputsOf = new Map<string, Record<string, unknown>>();
  const keyOf = (type: string, name: string) => `${type}::${name}`;
  await pulumi.runtime.setMocks(
    {
      call: ({ token }) => {
        throw new Error(`the program calls ${token}, which needs the engine`);
      },
      newResource: ({ type, name, inputs }) => {
        inputsOf.set(keyOf(type, name), inputs);
        // Nothing was deployed before.
        if (type === "pulumi:pulumi:StackReference") return { id: name, state: { ...inputs, outputs: {} } };
        const state = options.stateOf?.(type, name, inputs as Record<string, unknown>) ?? inputs;
        return { id: `${name}-id`, state };
      },
    },
    options.project,
    options.stack,
    options.preview ?? false,
    // The name that an engine with a backend of one's own has for it.
    "organization",
  );

  const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
  // The mocks keep the type of the immediate parent only; the engine keeps the whole chain.
  monitor.newUrn = (parent, type, name) => {
    const chain = parent.split("::")[2];
    const root = chain === undefined || chain === "pulumi:pulumi:Stack" ? "" : `${chain}$`;
    return `urn:pulumi:${options.stack}::${options.project}::${root}${type}::${name}`;
  };
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = async (request, callback) => {
    await register(request, callback);
    const [type, name, parent] = [request.getType(), request.getName(), request.getParent()];
    recording.resources.push({
      urn: monitor.newUrn(parent, type, name),
      type,
      name,
      custom: request.getCustom(),
      inputs: inputsOf.get(keyOf(type, name))!,
      parent,
      dependencies: [...request.getDependenciesList()].sort(),
      propertyDependencies: propertyDependenciesOf(request),
      provider: request.getProvider(),
      protect: request.getProtect(),
      retainOnDelete: request.getRetainondelete(),
      deletedWith: request.getDeletedwith(),
      deleteBeforeReplace: request.getDeletebeforereplace(),
      replaceOnChanges: request.getReplaceonchangesList(),
      ignoreChanges: request.getIgnorechangesList(),
    });
    options.onDeclared?.(recording.resources.length);
  };
  const registerOutputs = monitor.registerResourceOutputs.bind(monitor);
  monitor.registerResourceOutputs = (request, callback) => {
    recording.finished.push(request.getUrn());
    registerOutputs(request, callback);
  };
  return recording;
}

function propertyDependenciesOf(request: RegisterRequest): Record<string, string[]> {
  const dependencies: Record<string, string[]> = {};
  request.getPropertydependenciesMap().forEach((from, property) => {
    if (from.getUrnsList().length > 0) dependencies[property] = from.getUrnsList();
  });
  return dependencies;
}

/** Waits until everything that the program has declared is registered; after it nothing more can be. */
export async function settled(): Promise<void> {
  await pulumi.runtime.disconnect();
}
