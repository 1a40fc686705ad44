import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import type { Page } from "playwright-core";
import { unpackDebianPackages } from "../../local/build/debian-packages.js";

/** With fonts, which a machine without a desktop has none of. */
const PACKAGES = ["chromium-headless-shell", "fonts-dejavu-core", "fontconfig-config"];

export interface TestBrowser {
  /** A page that has seen nothing yet. Its context reaches loopback and nothing else. */
  newPage(): Promise<TestPage>;
  close(): Promise<void>;
}

export interface TestPage {
  readonly page: Page;
  /** Addresses that were asked for. */
  readonly requests: readonly string[];
  /** What the browser complained about: errors, refusals of the page's policy, failed requests. */
  readonly complaints: string[];
}

/**
 * Debian's Chromium in a profile of its own: its shell without windows, which takes half as much of a processor. It is
 * unpacked, not installed, unless the machine has it.
 */
export async function startBrowser(): Promise<TestBrowser> {
  const debian = await unpackDebianPackages(PACKAGES);
  const profile = await mkdtemp(join(tmpdir(), "video-storage-browser-"));
  const fonts = join(profile, "fonts.conf");
  await writeFile(
    fonts,
    `<?xml version="1.0"?><fontconfig><dir>${debian.directory}/usr/share/fonts</dir><dir>/usr/share/fonts</dir>` +
      `<cachedir>${profile}/fonts</cachedir></fontconfig>`,
  );
  const libraries = [
    debian.libraries,
    ...debian.libraries.split(":").map((part) => join(part, "pulseaudio")),
  ];
  const context = await chromium.launchPersistentContext(join(profile, "profile"), {
    executablePath: chromiumOf(debian.directory),
    headless: true,
    chromiumSandbox: false,
    env: { ...process.env, LD_LIBRARY_PATH: libraries.join(":"), FONTCONFIG_FILE: fonts } as Record<
      string,
      string
    >,
    args: [
      ...["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
      ...["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
      // Whatever the page or the browser itself asks for, nothing but loopback has an address.
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ],
    timeout: 60_000,
  });
  return {
    async newPage() {
      const page = await context.newPage();
      const requests: string[] = [];
      const complaints: string[] = [];
      page.on("request", (request) => void requests.push(request.url()));
      page.on("requestfailed", (request) => void complaints.push(`request failed: ${request.url()}`));
      page.on("pageerror", (error) => void complaints.push(`error: ${error.message}`));
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) complaints.push(`console: ${message.text()}`);
      });
      await page.addInitScript(
        `addEventListener("securitypolicyviolation", (event) =>
           console.error("policy: " + event.violatedDirective + " " + event.blockedURI));`,
      );
      return { page, requests, complaints };
    },
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** The program itself: what /usr/bin has is a script. */
function chromiumOf(directory: string): string {
  const programs = [directory, "/"].map((root) => join(root, "usr/lib/chromium/chromium-headless-shell"));
  const found = programs.find((program) => existsSync(program));
  if (found === undefined)
    throw new Error("Debian's Chromium was not found: apt-get install -y chromium-headless-shell");
  return found;
}
