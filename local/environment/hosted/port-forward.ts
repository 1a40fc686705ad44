import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { PassThrough } from "node:stream";

import { PortForward } from "@kubernetes/client-node";

import type { Access } from "./access.js";

/** A port of a pod, on this machine's loopback. */
export interface ForwardedPort {
  readonly host: string;
  readonly port: number;
  close(): void;
}

/** Opens a port of loopback whose connections lead to a port of a ready pod with this label. */
export async function forwardPort(
  { config }: Access,
  namespace: string,
  deployment: string,
  port: number,
): Promise<ForwardedPort> {
  const forward = new PortForward(config);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy()).once("close", () => sockets.delete(socket));
    const trouble = new PassThrough().on("data", () => socket.destroy());
    forward.portForwardDeployment(namespace, deployment, [port], socket, trouble, socket).then(
      (connection) => {
        const channel = typeof connection === "function" ? connection() : connection;
        channel?.on("close", () => socket.destroy());
        channel?.on("error", () => socket.destroy());
        socket.once("close", () => channel?.close());
      },
      () => socket.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) =>
    server.once("error", reject).listen(0, "127.0.0.1", () => resolve()),
  );
  server.unref();
  return {
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      sockets.forEach((socket) => socket.destroy());
    },
  };
}
