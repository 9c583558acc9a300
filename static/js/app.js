// The little that HTML and htmx cannot do: dialogs, busy buttons, copying, theme, toasts, fresh times,
// focus after swaps.
// Every page works without it, but for live updates.
(() => {
  "use strict";
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  root.classList.add("js");

  // Toasts: rendered by the server, sent by HX-Trigger, or the outcome that a fragment tells.
  // Bad news stays until it is dismissed.
  const later = (toast) => {
    if (!toast.classList.contains("bad")) setTimeout(() => toast.remove(), 7000);
  };
  const say = (text, tone = "") => {
    const toast = $("#toast-template").content.firstElementChild.cloneNode(true);
    $(".text", toast).textContent = text;
    if (tone) toast.classList.add(tone);
    $("#toasts").append(toast);
    later(toast);
  };
  const announce = (text) => {
    const place = $("#announcements");
    if (place && text && place.textContent !== text) place.textContent = text;
  };

  // Dialogs: a link to a page with the same form becomes a button that opens the dialog.
  const prepare = (scope) => {
    $$("[data-dialog]", scope).forEach((link) => {
      link.setAttribute("role", "button");
      link.setAttribute("aria-haspopup", "dialog");
    });
    $$("dialog[data-open]", scope).forEach((dialog) => {
      dialog.removeAttribute("data-open");
      if (!dialog.open) dialog.showModal();
    });
    freshen(scope);
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === " " && event.target.matches?.("a[role=button]")) {
      event.preventDefault();
      event.target.click();
    }
  });
  // What was refused is no news the next time a dialog opens. (This event does not bubble.)
  document.addEventListener(
    "close",
    ({ target }) => {
      $$("[role=alert], .error-text", target).forEach((text) => text.remove());
      $$("[aria-invalid]", target).forEach((field) => field.removeAttribute("aria-invalid"));
    },
    true,
  );

  // The account's menu closes like one: by Escape, or by going elsewhere.
  const shut = (menu) => {
    if (menu) menu.open = false;
  };
  const elsewhere = ({ target }) => shut($$(".who[open]").find((menu) => !menu.contains(target)));
  document.addEventListener("click", elsewhere);
  document.addEventListener("focusin", elsewhere);
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && $(".who[open]");
    if (menu) {
      shut(menu);
      $("summary", menu).focus();
    }
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    const dialog = opener && document.getElementById(opener.dataset.dialog);
    if (dialog && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      dialog.showModal();
      return;
    }
    const closer = event.target.closest("dialog [data-close]");
    if (closer) {
      event.preventDefault();
      closer.closest("dialog").close();
      return;
    }
    event.target.closest("[data-dismiss]")?.closest(".toast").remove();
    const copier = event.target.closest("[data-copy]");
    if (copier) copy(copier);
  });

  // A list in a dialog is narrowed while typing; what is ticked stays ticked, shown or not.
  document.addEventListener("input", (event) => {
    const list = document.getElementById(event.target.dataset?.filter);
    if (!list) return;
    const text = event.target.value.trim().toLowerCase();
    const shown = $$("li", list).filter(
      (item) => !(item.hidden = !item.textContent.toLowerCase().includes(text)),
    );
    list.classList.toggle("none", !shown.length);
  });

  // Busy buttons: at once, and never twice. Disabled only after the form's data was taken, or the button's own
  // value would be lost.
  const rest = (form) => {
    delete form.dataset.busy;
    $$("[data-busy]", form).forEach((button) => {
      button.removeAttribute("data-busy");
      button.disabled = false;
      if (document.activeElement === document.body) button.focus();
    });
  };
  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (form.dataset.busy) {
        event.preventDefault();
        event.stopImmediatePropagation();
        return;
      }
      if (form.hasAttribute("data-theme-switch")) {
        event.preventDefault();
        switchTheme();
        return;
      }
      form.dataset.busy = "1";
      const button = event.submitter ?? $("button:not([type=button])", form);
      button?.setAttribute("data-busy", "");
      queueMicrotask(() =>
        setTimeout(() => {
          if (event.defaultPrevented && !form.hasAttribute("hx-post")) rest(form);
          else if (button && form.dataset.busy) button.disabled = true;
        }),
      );
    },
    true,
  );
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) $$("form[data-busy]").forEach(rest);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.detail.elt;
    if (!form.matches?.("form")) return;
    rest(form);
    const { xhr } = event.detail;
    if (!xhr.status) say($("#texts").dataset.offline, "bad");
    else if (xhr.status >= 400 && ![409, 422].includes(xhr.status) && !xhr.getResponseHeader("HX-Trigger"))
      say($("#texts").dataset.failed, "bad");
  });

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
    } catch {
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    button.dataset.done = "";
    announce(button.dataset.doneText);
    setTimeout(() => delete button.dataset.done, 1500);
  };

  const switchTheme = () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    const secure = location.protocol === "https:" ? ";secure" : "";
    document.cookie = `theme=${root.dataset.theme};path=/;max-age=31536000;samesite=lax${secure}`;
  };

  // Times grow older by themselves.
  const [exactly, loosely] = ["always", "auto"].map(
    (numeric) => new Intl.RelativeTimeFormat(root.lang, { numeric }),
  );
  const inWords = (seconds) => {
    for (const [unit, size] of [
      ["day", 86400],
      ["hour", 3600],
      ["minute", 60],
    ])
      if (seconds >= size) return exactly.format(-Math.floor(seconds / size), unit);
    return (seconds ? exactly : loosely).format(-seconds, "second"); // "now", but never "yesterday"
  };
  const freshen = (scope) =>
    $$("time[data-ago]", scope).forEach((time) => {
      const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time.dateTime)) / 1000));
      const text = inWords(seconds);
      if (seconds < 604800 && time.textContent !== text) time.textContent = text;
    });
  setInterval(() => {
    if (!document.hidden) freshen(document);
  }, 5000);

  // What a search leaves open does not stand in its address.
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (detail.elt.matches("[role=search], [role=search] *"))
      for (const name of [...detail.formData.keys()])
        if (!detail.formData.get(name)) detail.formData.delete(name);
  });

  // Swaps: a poll never takes away an open dialog or a form that waits for its answer, focus is never lost, and
  // what changed is said.
  // What is being read (opened evidence) stays too. A part that refreshes itself is its own requester; a click on
  // a link in it is not.
  const inUse = (request, target) =>
    request.verb === "get" &&
    request.elt === target &&
    $("dialog[open], form[data-busy], details[open]", target);
  // Once an answer leads to another page no poll may lead there again: the first page would be cut off, and its
  // toast with it.
  let leaving = false;
  addEventListener("pageshow", () => {
    leaving = false;
  });
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (leaving) event.preventDefault();
    leaving ||= ["HX-Redirect", "HX-Refresh"].some((name) => event.detail.xhr.getResponseHeader(name));
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (leaving || inUse(event.detail.requestConfig, event.detail.target)) event.preventDefault();
  });
  const isNowhere = () => document.activeElement.matches("body, dialog");
  const wrong = (scope) => $("[aria-invalid=true]", scope);
  const before = new Map(); // of each part that is being swapped: several may be at once
  document.addEventListener("htmx:beforeSwap", (event) => {
    const target = event.detail.target;
    if (inUse(event.detail.requestConfig, target)) {
      event.detail.shouldSwap = false;
      return;
    }
    const here = document.activeElement,
      waiting = "form[data-busy]";
    const focused =
      target.contains(here) ||
      target.matches(waiting) ||
      $(waiting, target) ||
      (isNowhere() && here.matches("dialog") && here.contains(target));
    before.set(target.id, { open: target.dataset.open, focused, element: isNowhere() ? "" : here.id });
  });
  document.addEventListener("htmx:afterSettle", () => {
    for (const [id, was] of before) {
      const now = document.getElementById(id);
      if (!now || !now.isConnected) continue;
      before.delete(id);
      prepare(now);
      announce(now.dataset.announce);
      if (was.open && was.open === now.dataset.ended && was.open !== now.dataset.open && now.dataset.outcome)
        say(now.dataset.outcome, now.dataset.outcomeTone);
      if (was.focused && isNowhere())
        (
          wrong(now) ||
          (was.element && document.getElementById(was.element)) ||
          $("[data-focus]", now)
        )?.focus({ preventScroll: true });
    }
  });
  document.addEventListener("toast", (event) => say(event.detail.text, event.detail.tone));

  prepare(document);
  wrong(document)?.focus();
  $$(".toast").forEach(later);
})();
