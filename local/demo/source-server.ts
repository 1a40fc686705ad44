import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Serves one video to the workers, as the site that they extract from would. */
export async function serveVideo(file: string, host: string): Promise<{ url: string; close(): void }> {
  const { size } = await stat(file);
  const server = createServer((request, response) => {
    if (request.url !== "/source.mp4") return void response.writeHead(404).end();
    response.writeHead(200, { "content-type": "video/mp4", "content-length": size });
    createReadStream(file)
      .on("error", () => response.destroy())
      .pipe(response);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://${host}:${port}/source.mp4`, close: () => server.close() };
}
