/** A description of an element; the elements that are there are made like it, and stay the same elements. */
export interface Description {
  readonly tag: string;
  /** Tells it from its siblings, so that its element moves with it. */
  readonly key: string | undefined;
  readonly attributes: Attributes;
  readonly children: readonly (Description | string)[];
}

/** Something that draws into its element by itself. */
export interface Widget<T> {
  /** Called once the element is in the document; returns what draws other data into it. */
  create(element: HTMLElement): { update(data: T): void; destroy(): void };
}

interface BoundWidget {
  readonly widget: Widget<never>;
  readonly data: unknown;
}

type Attribute = string | number | boolean | null | undefined;
type Listener = (event: Event) => void;

export interface Attributes {
  readonly key?: string | number;
  /** Set one by one: the page's policy allows no style as text. */
  readonly style?: Readonly<Record<string, string>>;
  readonly on?: Readonly<Record<string, Listener>>;
  readonly widget?: BoundWidget;
  /** Of an input: taken over unless somebody is typing into it. */
  readonly value?: string;
  readonly [name: string]: Attribute | Attributes["style"] | Attributes["on"] | BoundWidget;
}

export type Content = Description | string | number | null | false | undefined | readonly Content[];

export function h(tag: string, attributes: Attributes = {}, ...children: Content[]): Description {
  const { key } = attributes;
  return { tag, key: key === undefined ? undefined : String(key), attributes, children: flat(children) };
}

export function widgetOf<T>(widget: Widget<T>, data: T): BoundWidget {
  return { widget, data };
}

function flat(contents: readonly Content[]): (Description | string)[] {
  return contents.flatMap((content): (Description | string)[] => {
    if (content === null || content === undefined || content === false) return [];
    if (Array.isArray(content)) return flat(content as readonly Content[]);
    return [typeof content === "number" ? String(content) : (content as Description | string)];
  });
}

interface Made {
  readonly description: Description;
  readonly listeners: Map<string, Listener>;
  drawn?: { update(data: never): void; destroy(): void };
}

const made = new WeakMap<Element, Made>();

/** Makes the children of an element as described. What is focused stays so, wherever it moves. */
export function render(parent: HTMLElement, ...contents: Content[]): void {
  const focused = document.activeElement;
  renderChildren(parent, flat(contents));
  if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) {
    focused.focus({ preventScroll: true });
  }
}

function renderChildren(parent: Element, children: readonly (Description | string)[]): void {
  const old = [...parent.childNodes];
  const keyed = new Map<string, Element[]>();
  const unkeyed: ChildNode[] = [];
  for (const node of old) {
    const key = node instanceof Element ? made.get(node)?.description.key : undefined;
    if (key === undefined) unkeyed.push(node);
    else keyed.set(key, [...(keyed.get(key) ?? []), node as Element]);
  }
  const kept = new Set<ChildNode>();
  let position: ChildNode | null = parent.firstChild;
  for (const child of children) {
    const node = typeof child === "string" ? textNode(child, unkeyed) : elementFor(child, keyed, unkeyed);
    kept.add(node);
    if (node === position) position = node.nextSibling;
    else parent.insertBefore(node, position);
    // After it is in its place: a widget measures its element.
    if (typeof child !== "string") update(node as HTMLElement, child);
  }
  for (const node of old) if (!kept.has(node)) discard(node);
}

function textNode(text: string, unkeyed: ChildNode[]): Text {
  const index = unkeyed.findIndex((node) => node instanceof Text);
  const node = index === -1 ? document.createTextNode(text) : (unkeyed.splice(index, 1)[0] as Text);
  if (node.data !== text) node.data = text;
  return node;
}

function elementFor(child: Description, keyed: Map<string, Element[]>, unkeyed: ChildNode[]): Element {
  if (child.key !== undefined) {
    // Each is taken once: two children of one key would otherwise be one element, and the first be lost.
    const node = keyed.get(child.key)?.shift();
    if (node?.localName === child.tag) return node;
    return document.createElement(child.tag);
  }
  const index = unkeyed.findIndex((node) => node instanceof Element && node.localName === child.tag);
  return index === -1 ? document.createElement(child.tag) : (unkeyed.splice(index, 1)[0] as Element);
}

function update(element: HTMLElement, description: Description): void {
  const before = made.get(element);
  const now: Made = {
    description,
    listeners: before?.listeners ?? new Map(),
    ...(before?.drawn && { drawn: before.drawn }),
  };
  made.set(element, now);
  setAttributes(element, before?.description.attributes ?? {}, description.attributes);
  setListeners(element, now, description.attributes.on ?? {});
  const { widget } = description.attributes;
  if (widget) {
    now.drawn ??= widget.widget.create(element);
    now.drawn.update(widget.data as never);
  } else {
    renderChildren(element, description.children);
  }
}

const HANDLED = new Set(["key", "style", "on", "widget", "value"]);

function setAttributes(element: HTMLElement, before: Attributes, now: Attributes): void {
  for (const name of new Set([...Object.keys(before), ...Object.keys(now)])) {
    if (HANDLED.has(name) || before[name] === now[name]) continue;
    const value = now[name] as Attribute;
    if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, value] of Object.entries(now.style ?? {})) {
    if (before.style?.[name] !== value) element.style.setProperty(name, value);
  }
  const input = element as HTMLInputElement;
  if (now.value !== undefined && input.value !== now.value && input !== document.activeElement)
    input.value = now.value;
}

/** One function listens for each event, and calls what was last described. */
function setListeners(
  element: HTMLElement,
  { listeners }: Made,
  on: Readonly<Record<string, Listener>>,
): void {
  for (const [event, listener] of Object.entries(on)) {
    if (!listeners.has(event))
      element.addEventListener(event, (happened) => listeners.get(event)?.(happened));
    listeners.set(event, listener);
  }
  for (const event of listeners.keys()) if (!(event in on)) listeners.set(event, () => {});
}

function discard(node: ChildNode): void {
  if (node instanceof Element) {
    for (const element of [node, ...node.querySelectorAll("*")]) made.get(element)?.drawn?.destroy();
  }
  node.remove();
}
