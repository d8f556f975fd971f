import { useEffect, useState } from "preact/hooks";

const moved = new EventTarget();

/** Shows another path of the page. */
export function go(path: string, how: "push" | "replace" = "push"): void {
  if (how === "replace") {
    history.replaceState(null, "", path);
  } else {
    history.pushState(null, "", path);
  }
  moved.dispatchEvent(new Event("moved"));
}

/** Returns the path that is shown, and shows the component again when it changes. */
export function usePath(): string {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const update = () => {
      setPath(location.pathname);
      scrollTo(0, 0);
    };
    moved.addEventListener("moved", update);
    addEventListener("popstate", update);
    return () => {
      moved.removeEventListener("moved", update);
      removeEventListener("popstate", update);
    };
  }, []);
  return path;
}

/** Names the page in the tab and moves the focus to its heading, so that screen readers tell of the change. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Tillbook`;
    const heading = document.querySelector<HTMLElement>("main h1");
    if (heading !== null && !heading.closest("form")?.contains(document.activeElement)) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
  }, [title]);
}
