// Serves one video inside a cluster: GET /source.mp4 for the workers, and PUT of it on loopback alone, which
// only a port-forward reaches. Plain JavaScript without dependencies, because it is an image's whole program.
import { createReadStream, createWriteStream } from "node:fs";
import { rename, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { pipeline } from "node:stream/promises";

const FILE = "/data/source.mp4";
const [servePort, takePort] = process.argv.slice(2).map(Number);

createServer((request, response) => {
  serve(request, response).catch(() => response.headersSent || response.writeHead(404).end());
}).listen(servePort);

createServer((request, response) => {
  take(request).then(
    () => response.writeHead(204).end(),
    (error) => response.writeHead(500).end(String(error)),
  );
}).listen(takePort, "127.0.0.1");

async function serve(request, response) {
  if (request.url === "/ready") return void response.writeHead(200).end();
  if (request.url !== "/source.mp4") return void response.writeHead(404).end();
  const { size } = await stat(FILE);
  response.writeHead(200, { "content-type": "video/mp4", "content-length": size });
  await pipeline(createReadStream(FILE), response);
}

async function take(request) {
  const wanted = Number(request.headers["content-length"]);
  await pipeline(request, createWriteStream(`${FILE}.partial`));
  const { size } = await stat(`${FILE}.partial`);
  if (size !== wanted) throw new Error(`${size} of ${wanted} bytes arrived`);
  await rename(`${FILE}.partial`, FILE);
}

process.once("SIGTERM", () => process.exit(0));
