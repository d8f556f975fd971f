import type { ComponentChildren } from "preact";

import { useSession } from "./session.js";
import { Link } from "./ui/controls.js";
import { Icon, type IconName } from "./ui/icon.js";

const PLACES: readonly (readonly [path: string, name: string, icon: IconName])[] = [
  ["/", "Wallet", "wallet"],
  ["/pay", "Pay", "scan"],
  ["/shop", "Counter", "shop"],
  ["/shop/report", "Day", "chart"],
];

/** What is around every screen: at the side of wide ones, below narrow ones. */
export function Frame({ path, children }: { path: string; children: ComponentChildren }) {
  const { user, signOut } = useSession();
  return (
    <div class="frame">
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <Link to="/" class="brand">
          <Logo />
          Tillbook
        </Link>
        <div class="who">
          <span class="name">{user.username}</span>
          <button type="button" class="icon-button" onClick={() => void signOut()} aria-label="Sign out" title="Sign out">
            <Icon name="out" />
          </button>
        </div>
      </header>
      <nav class="places" aria-label="Places">
        {PLACES.map(([to, name, icon]) => (
          <Link key={to} to={to} aria-current={to === placeOf(path) ? "page" : undefined}>
            <Icon name={icon} size={22} />
            <span>{name}</span>
          </Link>
        ))}
      </nav>
      <main id="main" class="main">
        {children}
      </main>
    </div>
  );
}

/** The mark: a page of a till's book. */
export function Logo() {
  return <img src="/icon.svg" alt="" width="30" height="30" class="logo" />;
}

function placeOf(path: string): string {
  if (path.startsWith("/shop")) {
    return path === "/shop/report" ? path : "/shop";
  }
  return path === "/pay" ? path : "/";
}
