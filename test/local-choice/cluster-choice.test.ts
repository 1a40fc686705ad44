import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import {
  chooseCluster,
  chooseClusterHere,
  describeCluster,
  recordChoice,
  recordedChoice,
} from "../../local/cluster-choice.js";
import { Failure } from "../../local/failure.js";
import { fakePrograms } from "./fake-programs.js";
import type { FakePrograms } from "./fake-programs.js";

const NOTHING = { kindOnPath: false, dockerAnswers: false };
const KIND = { kindOnPath: true, dockerAnswers: true };

describe("which cluster an environment runs on", () => {
  it("is built where there is nothing else", () => {
    expect(chooseCluster({}, NOTHING)).toEqual({
      kind: "built",
      why: "kind is not on PATH, and no --context was given",
    });
  });

  it("is kind's where kind has its Docker", () => {
    expect(chooseCluster({}, KIND)).toEqual({ kind: "kind", why: "kind is on PATH and Docker answers" });
  });

  it("is built where kind has no Docker, and says so", () => {
    expect(chooseCluster({}, { kindOnPath: true, dockerAnswers: false })).toEqual({
      kind: "built",
      why: "kind is on PATH, but Docker does not answer, and no --context was given",
    });
  });

  it("is the given context's, whatever else there is", () => {
    expect(chooseCluster({ context: "dev", imageLoader: "load {}", kubeconfig: "/k" }, KIND)).toEqual({
      kind: "context",
      context: "dev",
      imageLoader: "load {}",
      kubeconfig: "/k",
      why: "--context dev was given",
    });
  });

  it("is built where that is asked for, even beside kind", () => {
    expect(chooseCluster({ build: true }, KIND)).toEqual({ kind: "built", why: "that was asked for" });
  });

  it("refuses a context together with building", () => {
    expect(() => chooseCluster({ context: "dev", build: true }, NOTHING)).toThrow(
      "--context dev and building a cluster exclude each other.",
    );
  });

  it("stays the recorded one when kind appears later", () => {
    expect(chooseCluster({}, { ...KIND, recorded: { kind: "built" } })).toEqual({
      kind: "built",
      why: "this environment was started on it",
    });
  });

  it("takes a new loader and a new KUBECONFIG for the recorded context", () => {
    const recorded = { kind: "context", context: "dev", imageLoader: "a {}", kubeconfig: "/a" } as const;
    expect(chooseCluster({ imageLoader: "b {}", kubeconfig: "/b" }, { ...NOTHING, recorded })).toEqual({
      kind: "context",
      context: "dev",
      imageLoader: "b {}",
      kubeconfig: "/b",
      why: "this environment was started on it",
    });
  });

  it.each([
    [{ context: "other" }, { kind: "context", context: "dev" }, "your cluster, context dev"],
    [{ context: "dev" }, { kind: "built" }, "a cluster of its own, built here"],
    [{ build: true }, { kind: "kind" }, "a cluster of its own that kind makes"],
  ] as const)("refuses %o for one that was started on %o", (wishes, recorded, words) => {
    expect(() => chooseCluster(wishes, { ...NOTHING, recorded })).toThrow(
      `This environment was started on ${words}, and its data is there.`,
    );
    expect(describeCluster(recorded)).toBe(words);
  });
});

describe("the choice on this machine", () => {
  let programs: FakePrograms;
  let state: string;

  beforeEach(async () => {
    programs = await fakePrograms({ kind: "exit 0", docker: "exit 0" });
    state = await mkdtemp(join(tmpdir(), "cluster-choice-"));
  });
  afterEach(async () => {
    await programs.remove();
    await rm(state, { recursive: true });
  });

  it("asks kind and Docker", async () => {
    expect(await chooseClusterHere(state, {})).toMatchObject({ kind: "kind" });
    expect((await programs.calls()).sort()).toEqual(["docker info", "kind version"]);
  });

  it("is built where Docker's client finds no engine", async () => {
    await programs.replace("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1");
    expect(await chooseClusterHere(state, {})).toMatchObject({ kind: "built" });
  });

  it("asks nobody once it is recorded, and keeps what was recorded", async () => {
    const choice = { kind: "context", context: "dev", kubeconfig: "/k", imageLoader: "load {}" } as const;
    await recordChoice(state, choice);
    expect(await recordedChoice(state)).toEqual(choice);
    expect(await chooseClusterHere(state, {})).toMatchObject(choice);
    expect(await programs.calls()).toEqual([]);
    await expect(chooseClusterHere(state, { context: "other" })).rejects.toBeInstanceOf(Failure);
  });

  it("has recorded nothing for an environment that there isn't", async () => {
    expect(await recordedChoice(state)).toBeUndefined();
  });

  it("takes relative files of KUBECONFIG from here", async () => {
    const { kubeconfig } = await chooseClusterHere(state, { context: "dev", kubeconfig: "a:/b" });
    expect(kubeconfig).toBe(`${process.cwd()}/a:/b`);
  });
});
