// What the page does in the browser alone: the tab's conversation, light and dark, scrolling, the panel on a phone.
(() => {
  const CONVERSATION = "latentcrs.conversation";
  const THEME = "latentcrs.theme";
  const stored = (storage, key) => {
    try {
      return storage.getItem(key);
    } catch {
      return null; // storage is switched off: every reload begins anew
    }
  };
  const store = (storage, key, value) => {
    try {
      value === null ? storage.removeItem(key) : storage.setItem(key, value);
    } catch {}
  };

  window.latentcrs = {
    recall: () => stored(sessionStorage, CONVERSATION),
    remember: (id) => store(sessionStorage, CONVERSATION, id),
    theme() {
      const dark = !document.body.classList.contains("body--dark");
      setDark(dark);
      store(localStorage, THEME, dark ? "dark" : "light");
    },
    panel(open) {
      const panel = document.querySelector(".side");
      document.body.classList.toggle("panel-open", open);
      (open ? panel?.querySelector("button") : document.querySelector(".opens-panel"))?.focus();
    },
    reveal(id) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      requestAnimationFrame(() =>
        document.getElementById(id)?.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" }),
      );
    },
    focus: () => document.querySelector(".composer textarea")?.focus(),
  };

  const lost = (is) => {
    const banner = document.getElementById("popup");
    if (banner) banner.ariaHidden = String(!is);
  };
  addEventListener("offline", () => lost(true));
  addEventListener("online", () => window.socket?.connected && lost(false));
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.body.classList.contains("panel-open")) latentcrs.panel(false);
  });
  addEventListener("load", () => {
    const theme = stored(localStorage, THEME);
    if (theme) setDark(theme === "dark");
    document.getElementById("popup")?.setAttribute("role", "alert");
  });
})();
