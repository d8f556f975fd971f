const PATHS = {
  wallet: "M4 7.5A2.5 2.5 0 0 1 6.5 5H17v3M4 7.5V17a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-7a2 2 0 0 0-2-2H5a1 1 0 0 1-1-.5zM16 13.5h.01",
  scan: "M4 8V6a2 2 0 0 1 2-2h2M16 4h2a2 2 0 0 1 2 2v2M20 16v2a2 2 0 0 1-2 2h-2M8 20H6a2 2 0 0 1-2-2v-2M8 12h8",
  shop: "M4.5 10V19h15v-9M3 9l2-5h14l2 5a2.5 2.5 0 0 1-4.5 1.2A2.9 2.9 0 0 1 12 10.4a2.9 2.9 0 0 1-4.5-.2A2.5 2.5 0 0 1 3 9zM10 19v-5h4v5",
  chart: "M4 20h16M7 20v-7M12 20V5M17 20v-10",
  send: "M7 17 17 7M9 7h8v8",
  receive: "M17 7 7 17M15 17H7V9",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  check: "m5 12.5 4.5 4.5L19 7.5",
  cross: "M6 6l12 12M18 6 6 18",
  back: "M19 12H5M11 6l-6 6 6 6",
  print: "M7 9V4h10v5M7 17H5a1 1 0 0 1-1-1v-5a2 2 0 0 1 2-2h12a2 2 0 0 1 2 2v5a1 1 0 0 1-1 1h-2M7 14h10v6H7z",
  refund: "M9 14 4 9l5-5M4 9h9.5a6.5 6.5 0 0 1 0 13H8",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  out: "M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M10 16l-4-4 4-4M6 12h9",
  phone: "M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2",
  picture: "M5 5h14v14H5zM5 16l4-4 3 3 3-4 4 5M9 9h.01",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  spark: "M12 3v5M12 16v5M3 12h5M16 12h5",
} as const;

export type IconName = keyof typeof PATHS;

/** Draws an icon, which says nothing that the text beside it doesn't. */
export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
