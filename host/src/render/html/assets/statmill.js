// Everything here can be done without it: choices are links, ranges are forms, pages are whole. It asks for
// the parts of a page again (elements with data-src) when a choice or a number changed, and puts them in place.
"use strict";
(() => {
  const main = document.querySelector("main");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const parts = () => all("[data-src]");
  const isDashboard = main.hasAttribute("data-live");

  // --- colours

  const theme = document.getElementById("theme");
  if (theme) {
    const names = ["system", "light", "dark"];
    const current = () => document.documentElement.dataset.theme || "system";
    const label = () => { theme.textContent = `Theme: ${current()}`; };
    theme.hidden = false;
    label();
    theme.addEventListener("click", () => {
      const next = names[(names.indexOf(current()) + 1) % names.length];
      if (next === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
      label();
    });
  }

  // --- parts of the page

  const waiting = new Set(); // parts that are out of date
  const inSight = new WeakSet();
  const asking = new WeakMap();
  let lastAsked = 0;
  let timer = 0;

  const query = (part) => {
    const query = new URLSearchParams(location.search);
    const plot = part.querySelector(".plot");
    if (plot && plot.clientWidth) query.set("w", plot.clientWidth);
    if (part.hasAttribute("data-plain")) query.set("plain", "1");
    return query;
  };

  // What has the focus, in words that hold for what takes its place.
  const nameOf = (element) => {
    const { sig, val } = element.dataset;
    if (sig !== undefined) return (other) => other.dataset.sig === sig && other.dataset.val === val;
    if (element.classList.contains("plot")) return (other) => other.classList.contains("plot");
    const label = element.getAttribute("aria-label") || element.textContent;
    return (other) => other.tagName === element.tagName
      && (other.getAttribute("aria-label") || other.textContent) === label;
  };

  const swap = (part, text) => {
    const active = document.activeElement;
    const isSame = part.contains(active) ? nameOf(active) : null;
    const open = all("details[open] > summary", part).map((summary) => summary.textContent);
    part.innerHTML = text;
    delete part.values;
    part.classList.remove("stale");
    for (const summary of all("details > summary", part)) {
      if (open.includes(summary.textContent)) summary.parentElement.open = true;
    }
    if (isSame) {
      const next = all("a, button, summary, input, select, .plot", part).find(isSame);
      if (next) next.focus({ preventScroll: true });
      else main.focus({ preventScroll: true });
    }
    watch(part);
    if (pointer && part.contains(document.elementFromPoint(pointer.clientX, pointer.clientY))) hover(pointer);
  };

  const ask = async (part) => {
    waiting.delete(part);
    if (asking.has(part)) asking.get(part).abort();
    const controller = new AbortController();
    asking.set(part, controller);
    try {
      const answer = await fetch(`${part.dataset.src}?${query(part)}`, { signal: controller.signal });
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      // Who writes into a part or draws in it is not interrupted.
      if (part.contains(brush && brush.plot) || part.querySelector("input:focus, select:focus")) waiting.add(part);
      else swap(part, text);
    } catch (error) {
      if (error.name !== "AbortError") part.classList.add("stale");
    }
  };

  // At most once a second, only what is in sight, nothing while nobody looks.
  const flush = () => {
    timer = 0;
    if (document.hidden) return;
    lastAsked = Date.now();
    for (const part of waiting) if (inSight.has(part)) ask(part);
  };
  const schedule = () => {
    if (!timer && !document.hidden && waiting.size) {
      timer = setTimeout(flush, Math.max(0, lastAsked + 1000 - Date.now()));
    }
  };
  document.addEventListener("visibilitychange", schedule);

  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inSight.add(target);
      else inSight.delete(target);
      if (isIntersecting && waiting.has(target)) schedule();
    }
  }, { rootMargin: "200px" });

  // A picture is drawn for a width; it is asked for again when it has another.
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const picture = target.querySelector("svg");
      const part = target.closest("[data-src]");
      if (!picture || !part || target.classList.contains("spark")) continue;
      const drawn = picture.viewBox.baseVal.width;
      if (target.clientWidth && Math.abs(drawn - target.clientWidth) > 0.12 * drawn) {
        waiting.add(part);
        if (!timer) timer = setTimeout(flush, 50);
      }
    }
  });
  const watch = (part) => {
    sight.observe(part);
    for (const plot of all(".plot", part)) sizes.observe(plot);
  };
  parts().forEach(watch);

  // --- choices: links and forms of a dashboard change the address, and the parts follow it

  const refresh = () => {
    lastAsked = Date.now();
    for (const part of parts()) {
      if (inSight.has(part)) ask(part);
      else waiting.add(part);
    }
  };
  const go = (search) => {
    const address = new URL(search, location.href);
    if (address.search === location.search) return;
    history.pushState(null, "", address);
    refresh();
  };
  if (isDashboard) addEventListener("popstate", refresh);

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='?']");
    if (!isDashboard || !link || event.button || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const { sig, val } = link.dataset;
    if (!event.shiftKey || sig === undefined) return go(link.getAttribute("href"));
    // Also this one, or no longer.
    const pairs = [...new URLSearchParams(location.search)];
    const others = pairs.filter(([name, value]) => name !== sig || value !== val);
    if (others.length === pairs.length) others.push([sig, val]);
    go(`?${new URLSearchParams(others)}`);
  });
  document.addEventListener("submit", (event) => {
    if (!isDashboard || !event.target.hasAttribute("data-form")) return;
    event.preventDefault();
    const pairs = [...new FormData(event.target)].filter(([, value]) => value !== "");
    document.activeElement.blur();
    go(`?${new URLSearchParams(pairs)}`);
  });
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form && form.classList.contains("filters")) form.requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (brush) return endBrush();
    if (location.hash === "#menu") { location.hash = "#main"; return; }
    const clear = main.querySelector("[data-clear]");
    if (clear) clear.click();
  });

  // --- exact values under the pointer, or at the place that the arrow keys moved to

  let pointer = null;
  let brush = null;
  const make = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };

  const planeOf = (plot) => {
    const plane = plot && plot.querySelector(".plane");
    if (!plane) return null;
    const number = (name) => Number(plane.getAttribute(name));
    const [x, y, width, height] = ["x", "y", "width", "height"].map(number);
    const [from, to] = [Number(plane.dataset.from) / 1000, Number(plane.dataset.to) / 1000];
    const picture = plane.ownerSVGElement;
    const scale = () => picture.viewBox.baseVal.width / picture.getBoundingClientRect().width;
    return {
      picture, x, y, width, height,
      timeAt: (clientX) => {
        const at = (clientX - picture.getBoundingClientRect().left) * scale();
        return from + Math.min(1, Math.max(0, (at - x) / width)) * (to - from);
      },
      placeOf: (time) => x + ((time - from) / (to - from)) * width,
      pixels: (place) => place / scale(),
    };
  };

  const valuesOf = async (part) => {
    if (!part.values) {
      part.values = fetch(`${part.dataset.rows}?${query(part)}`).then((answer) => {
        if (!answer.ok) throw new Error(answer.statusText);
        return answer.json();
      });
      part.values.catch(() => { delete part.values; });
    }
    return part.values;
  };

  const nearest = (times, time) => {
    let [low, high] = [0, times.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (times[middle] < time) low = middle;
      else high = middle;
    }
    return Math.abs(times[low] - time) <= Math.abs(times[high] - time) ? low : high;
  };

  const hide = (root = document) => all(".cross, .tip", root).forEach((element) => element.remove());

  const show = (plot, values, at) => {
    const plane = planeOf(plot);
    if (!plane || !values.times.length) return;
    hide(plot);
    plot.dataset.at = at;
    const place = plane.placeOf(values.times[at]);
    plane.picture.append(make("line", {
      class: "cross", x1: place, x2: place, y1: plane.y, y2: plane.y + plane.height,
    }));
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.setAttribute("role", "status");
    const title = document.createElement("strong");
    title.textContent = values.texts[at];
    tip.append(title);
    const lines = values.series.map(({ name, colour, values: of }) => ({ name, colour, value: of[at] }));
    lines.sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
    for (const { name, colour, value } of lines.slice(0, 12)) {
      const line = document.createElement("span");
      const square = document.createElement("i");
      square.className = `s${colour ?? 0}`;
      const number = document.createElement("b");
      number.textContent = value === null || value === undefined ? "–" : value.toLocaleString("en");
      const what = document.createElement("em");
      what.textContent = name;
      line.append(square, what, number);
      tip.append(line);
    }
    if (lines.length > 12) tip.append(`and ${lines.length - 12} more`);
    plot.append(tip);
    const left = plane.pixels(place);
    const isRight = left > plot.clientWidth / 2;
    tip.style.left = isRight ? "auto" : `${left + 12}px`;
    tip.style.right = isRight ? `${plot.clientWidth - left + 12}px` : "auto";
  };

  const hover = async (event) => {
    const plot = event.target.closest && event.target.closest("[data-line]");
    const part = plot && plot.closest("[data-rows]");
    const plane = planeOf(plot);
    if (!plane || !part) return;
    try {
      const values = await valuesOf(part);
      if (!pointer || !plot.isConnected) return;
      show(plot, values, nearest(values.times, plane.timeAt(pointer.clientX)));
    } catch { /* The next movement asks again. */ }
  };

  main.addEventListener("pointermove", (event) => {
    const before = pointer && pointer.target.closest && pointer.target.closest("[data-line]");
    pointer = event;
    const plot = event.target.closest("[data-line]");
    if (before && before !== plot) hide(before);
    if (brush) moveBrush(event);
    else if (plot) hover(event);
  });
  main.addEventListener("pointerleave", () => { pointer = null; hide(); });
  main.addEventListener("focusout", (event) => {
    if (event.target.matches("[data-line]")) hide(event.target);
  });
  main.addEventListener("keydown", async (event) => {
    if (!event.target.matches("[data-line]") || event.ctrlKey || event.altKey || event.metaKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -24, PageDown: 24, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const plot = event.target;
    try {
      const values = await valuesOf(plot.closest("[data-rows]"));
      const last = values.times.length - 1;
      const at = plot.dataset.at === undefined ? last + (step < 0 ? 1 : 0) : Number(plot.dataset.at);
      show(plot, values, Math.min(last, Math.max(0, at + step)));
    } catch { /* The next key asks again. */ }
  });

  // --- dragging over a picture chooses a range of time

  const endBrush = () => {
    if (brush && brush.mark) brush.mark.remove();
    brush = null;
  };
  const moveBrush = (event) => {
    const { plane, from, start } = brush;
    if (!brush.mark && Math.abs(event.clientX - start) < 8) return;
    hide(brush.plot);
    if (!brush.mark) {
      brush.mark = make("rect", { class: "brush", y: plane.y, height: plane.height });
      plane.picture.append(brush.mark);
    }
    brush.to = plane.timeAt(event.clientX);
    const [a, b] = [plane.placeOf(Math.min(from, brush.to)), plane.placeOf(Math.max(from, brush.to))];
    brush.mark.setAttribute("x", a);
    brush.mark.setAttribute("width", b - a);
  };
  main.addEventListener("pointerdown", (event) => {
    const plot = event.target.closest("[data-line]");
    const plane = planeOf(plot);
    if (!isDashboard || !plane || event.button || event.pointerType === "touch" || event.target.closest("a")) return;
    brush = { plot, plane, start: event.clientX, from: plane.timeAt(event.clientX) };
    event.preventDefault();
    plot.focus({ preventScroll: true });
  });
  addEventListener("pointerup", () => {
    const { mark, from, to } = brush || {};
    endBrush();
    if (!mark) return;
    const pairs = [...new URLSearchParams(location.search)].filter(([name]) => !["span", "start", "end", "stop"].includes(name));
    const text = (time) => new Date(Math.round(time)).toISOString();
    pairs.push(["start", text(Math.min(from, to))], ["end", text(Math.max(from, to))]);
    go(`?${new URLSearchParams(pairs)}`);
  });

  // --- what changes is followed

  const state = document.getElementById("live");
  const say = (text, isStale) => {
    if (state) {
      state.hidden = false;
      if (state.textContent !== text) state.textContent = text;
    }
    document.body.classList.toggle("stale", isStale);
  };
  const wanted = new Set(parts().map((part) => part.dataset.stat).filter(Boolean));
  if (wanted.size) {
    const stats = wanted.has("*") ? [] : [...wanted].map((stat) => ["stat", stat]);
    const changed = (stat, version) => {
      for (const part of parts()) {
        const drawn = part.querySelector("[data-version]");
        const isKnown = version && drawn && drawn.dataset.version === version;
        if ((part.dataset.stat === stat || part.dataset.stat === "*" || !stat) && !isKnown) waiting.add(part);
      }
      schedule();
    };
    const follow = () => {
      const events = new EventSource(`/api/events?${new URLSearchParams(stats)}`);
      events.onopen = () => say("live", false);
      events.onerror = () => {
        say("not connected, trying again", true);
        if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
      };
      events.addEventListener("update", ({ data }) => {
        const { stat, version } = JSON.parse(data);
        changed(stat, version);
      });
      events.addEventListener("plugin", ({ data }) => changed(JSON.parse(data).stat, null));
      events.addEventListener("reset", () => changed(null, null));
      addEventListener("pagehide", () => events.close(), { once: true });
    };
    follow();
  }

  // --- further rows of a table, as its end comes into sight

  const more = new IntersectionObserver(async (entries) => {
    const link = entries.find((entry) => entry.isIntersecting)?.target;
    if (!link || link.dataset.asked) return;
    link.dataset.asked = "1";
    try {
      const answer = await fetch(link.href, { headers: { accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const rows = all("main > .scroll tbody tr", page);
      main.querySelector(":scope > .scroll tbody").append(...rows);
      const next = page.querySelector("[data-more]");
      if (!next) return link.remove();
      link.setAttribute("href", next.getAttribute("href"));
      delete link.dataset.asked;
      more.unobserve(link);
      more.observe(link);
    } catch { delete link.dataset.asked; /* It is a link still. */ }
  }, { rootMargin: "400px" });
  all("[data-more]").forEach((link) => more.observe(link));
})();
