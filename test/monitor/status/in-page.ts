/** What is asked of a page inside it. Text, because these tests know no types of browsers. */

/** Every text that is shown, with the contrast of its colour to what lies under it, where that is too little. */
export const TOO_LITTLE_CONTRAST = `(() => {
  const parse = (text) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return { r, g, b, a: a / 255 };
  };
  const over = (top, below) => ({
    r: top.r * top.a + below.r * (1 - top.a),
    g: top.g * top.a + below.g * (1 - top.a),
    b: top.b * top.a + below.b * (1 - top.a),
    a: 1,
  });
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const found = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, noscript, .unseen, [hidden]")) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const below = background(element);
    const [a, b] = [luminance(over(parse(style.color), below)), luminance(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    seen++;
    if (ratio < (large ? 3 : 4.5)) found.push(node.data.trim().slice(0, 40) + " " + ratio.toFixed(2));
  }
  return { seen, found };
})()`;

/** What can be focused, in the document's order, by its role and name; where it has none, that is said. */
export const FOCUSABLE = `[...document.querySelectorAll("a[href], button, input, select, summary")]
  .filter((element) => element.checkVisibility())
  .map((element) => {
    const label = element.labels?.[0]?.textContent ?? "";
    const name = (element.getAttribute("aria-label") ?? (label || element.textContent) ?? "").trim();
    return element.localName + " " + (name || "WITHOUT A NAME");
  })`;

/** The focused element, and whether it can be seen that it is. */
export const FOCUSED = `(() => {
  const element = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const { top, bottom } = element.getBoundingClientRect();
  return {
    name: (element.getAttribute("aria-label") ?? element.name ?? element.textContent).trim() || element.textContent.trim(),
    tag: element.localName,
    ring: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
    within: bottom > 0 && top < innerHeight,
  };
})()`;

/** Elements that reach beyond the window's right side, which nobody could scroll to read on a phone. */
export const TOO_WIDE = `[...document.querySelectorAll("#page *")]
  .filter((element) => element.checkVisibility() && !element.closest(".unseen"))
  .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((element) => element.localName + "." + element.className)
  .slice(0, 5)`;

/** How much of what was shown has moved by itself since the page began (0 is nothing). */
export const SHIFTS = `new Promise((resolve) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(sum), 300);
})`;

/** Pixels of a canvas that something was drawn on. */
export const DRAWN = `(selector) => [...document.querySelectorAll(selector + " canvas")].map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) count++;
  return count;
})`;
