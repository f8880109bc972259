// What stands around every view: header, connection, questions, messages.

import { useComputed, useSignalEffect } from "@preact/signals";
import type { ComponentType, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { countGroups } from "../model/health";
import { Confirmation } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { Toasts } from "../parts/toast";
import { type Route, route } from "../route";
import { fleet, session, signOut } from "../state";
import { nextTheme, theme } from "../theme";
import { Connection } from "./connection";
import { Streams } from "./streams/streams";
import { TokenDialog } from "./token";

export function Shell() {
  const attention = useComputed(() => countGroups(fleet.value.values()).attention);
  useSignalEffect(() => {
    const here = route.value;
    const place = here.page === "stream" ? `${here.id} · ` : "";
    document.title = `${attention.value > 0 ? `(${attention.value}) ` : ""}${place}Overdub`;
  });
  const here = route.value;
  useFreshStart(here.page === "stream" ? here.id : here.page);
  return (
    <>
      <a class="skip" href="#main" onClick={toMain}>
        Skip to the content
      </a>
      <Header />
      <Connection />
      <main id="main" tabIndex={-1}>
        <Page here={here} />
      </main>
      <Confirmation />
      <TokenDialog />
      <Toasts />
    </>
  );
}

/** Another page begins at its top, and for those who listen or type, at its content. */
function useFreshStart(place: string): void {
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    document.getElementById("main")?.focus({ preventScroll: true });
  }, [place]);
}

function toMain(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Header() {
  const here = route.value.page;
  const current = (page: string) => (here === page ? { "aria-current": "page" as const } : {});
  const themeName = { system: "as the system", light: "light", dark: "dark" }[theme.value];
  return (
    <header class="top">
      <a class="brand" href="#/" aria-label="Overdub, all streams">
        <Logo />
        <span>Overdub</span>
      </a>
      <nav aria-label="Main">
        <a href="#/" {...current("streams")}>
          Streams
        </a>
        <a href="#/webhooks" {...current("webhooks")}>
          Webhooks
        </a>
        <a href="/docs/" target="_blank" rel="noopener" class="wide-only">
          API
        </a>
      </nav>
      <div class="top-end">
        {session.value?.access === "read" && <span class="badge badge-idle">Read only</span>}
        {session.value?.authRequired && session.value.access !== "none" && (
          <button
            type="button"
            class="ghost square"
            title="Forget the token"
            aria-label="Forget the token"
            onClick={signOut}
          >
            <Icon name="key" size={18} />
          </button>
        )}
        <button
          type="button"
          class="ghost square"
          title={`Theme: ${themeName}`}
          aria-label={`Theme: ${themeName}. Change it`}
          onClick={nextTheme}
        >
          <Icon
            name={theme.value === "system" ? "auto" : theme.value === "light" ? "sun" : "moon"}
            size={18}
          />
        </button>
      </div>
    </header>
  );
}

function Logo() {
  return (
    <svg class="logo" width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path class="logo-one" d="M8 13v6M13 9v14" />
      <path class="logo-two" d="M19 11v10M24 14v4" />
    </svg>
  );
}

function Page({ here }: { here: Route }): JSX.Element {
  switch (here.page) {
    case "streams":
      return <Streams />;
    case "new":
      return <Later load={loadCreate} />;
    case "webhooks":
      return <Later load={loadWebhooks} />;
    case "stream":
      return <Later key={here.id} load={loadStream} />;
    case "unknown":
      return (
        <div class="empty">
          <h1>There is nothing here</h1>
          <p>
            <a href="#/">All streams</a>
          </p>
        </div>
      );
  }
}

type Loader = () => Promise<ComponentType>;
const loadCreate: Loader = async () => (await import("./create/create")).Create;
const loadStream: Loader = async () => (await import("./stream/stream")).StreamPage;
const loadWebhooks: Loader = async () => (await import("./webhooks")).Webhooks;

/** A view that is fetched when it is first wanted. */
function Later({ load }: { load: Loader }) {
  const [View, setView] = useState<ComponentType>();
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let wanted = true;
    setView(undefined);
    load().then(
      (view) => wanted && setView(() => view),
      () => wanted && setFailed(true),
    );
    return () => {
      wanted = false;
    };
  }, [load]);
  if (failed) {
    return (
      <div class="empty">
        <h1>This part of the page cannot be loaded</h1>
        <p>The service may have been updated or be away.</p>
        <button type="button" class="primary" onClick={() => location.reload()}>
          Reload
        </button>
      </div>
    );
  }
  return View === undefined ? <div class="empty" aria-busy="true" /> : <View />;
}
