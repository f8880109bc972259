// Icons: outlines on a 20-unit grid, in the colour of the text around them.

const PATHS = {
  good: "M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15ZM6.5 10.3l2.4 2.4 4.6-5",
  warn: "M10 3 1.9 17h16.2L10 3ZM10 8v4.2M10 14.6v.1",
  bad: "M6.6 2.2h6.8l4.4 4.4v6.8l-4.4 4.4H6.6l-4.4-4.4V6.6l4.4-4.4ZM7.2 7.2l5.6 5.6M12.8 7.2l-5.6 5.6",
  busy: "M10 2.5A7.5 7.5 0 1 1 2.5 10",
  idle: "M4.5 4.5h11v11h-11Z",
  plus: "M10 3.5v13M3.5 10h13",
  play: "M5.5 3.5v13l11-6.5-11-6.5Z",
  pause: "M6.5 4v12M13.5 4v12",
  stop: "M5 5h10v10H5Z",
  restart: "M15.8 7A6.5 6.5 0 1 0 16.5 10M16.5 3v4.3h-4.3",
  trash: "M3.5 5.5h13M8 5V3h4v2M5 5.5l.8 11.5h8.4L15 5.5M8.3 8.5v5.5M11.7 8.5v5.5",
  search: "M8.7 3a5.7 5.7 0 1 0 0 11.4 5.7 5.7 0 0 0 0-11.4ZM13 13l4.5 4.5",
  close: "M4.5 4.5l11 11M15.5 4.5l-11 11",
  back: "M12.5 4 6.5 10l6 6",
  down: "M4.5 7.5 10 13l5.5-5.5",
  sun: "M10 6.2a3.8 3.8 0 1 0 0 7.6 3.8 3.8 0 0 0 0-7.6ZM10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2M4 4l1.4 1.4M14.6 14.6 16 16M4 16l1.4-1.4M14.6 5.4 16 4",
  moon: "M16.5 12.2A7 7 0 0 1 7.8 3.5a7 7 0 1 0 8.7 8.7Z",
  auto: "M2.5 4h15v9.5h-15ZM7 17h6M10 13.5V17",
  hook: "M8.2 9.5A3.5 3.5 0 1 1 11.6 5M6.5 13.5a3.4 3.4 0 1 0 3 2.5h5M11.5 6.5l3 5.2a3.3 3.3 0 1 1-1.3 5",
  book: "M3.5 4c2.5-.8 4.7-.5 6.5.8 1.8-1.3 4-1.6 6.5-.8v11.7c-2.5-.8-4.7-.5-6.5.8-1.8-1.3-4-1.6-6.5-.8ZM10 4.8v11.7",
  key: "M13 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM10.2 9.8 3 17M5 15l2 2M7.5 12.5l2 2",
  sound: "M3 7.5v5h3l4.5 4v-13L6 7.5ZM13.5 7a4.2 4.2 0 0 1 0 6M15.8 4.7a7.5 7.5 0 0 1 0 10.6",
  pulse: "M2 10.5h4l2.5-6 3.5 11 2.3-5H18",
  disk: "M3 5.5c0-3.4 14-3.4 14 0v9c0 3.4-14 3.4-14 0ZM3 5.5c0 3.4 14 3.4 14 0M3 10c0 3.4 14 3.4 14 0",
  external: "M8 4H4v12h12v-4M11.5 3.5h5v5M16.5 3.5 9 11",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16, spin = false }: { name: IconName; size?: number; spin?: boolean }) {
  return (
    <svg
      class={spin ? "icon spin" : "icon"}
      width={size}
      height={size}
      viewBox="0 0 20 20"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
