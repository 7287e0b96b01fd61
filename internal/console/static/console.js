// What the pages do beside what their links and forms do: parts of a page that shows what goes on are fetched again and put in the place of the
// old ones, and lines of logs are added as they come. Nothing here is needed for a page to be read or a form to be sent.
"use strict";

(() => {
  const pulse = document.getElementById("pulse");
  const maxLines = 1000;

  const page = async (url, options) => {
    const answer = await fetch(url, options);
    const text = await answer.text();
    return { answer, page: new DOMParser().parseFromString(text, "text/html") };
  };

  // What somebody reads, marks, types in or presses is left alone until he has done: a button that goes while it is down is not pressed.
  const busy = (part) => {
    if (part.querySelector(":active")) return true;
    const marked = document.getSelection();
    const chosen = marked && !marked.isCollapsed && part.contains(marked.anchorNode);
    const at = document.activeElement;
    return chosen || (at && at !== document.body && part.contains(at) && at.matches("input, textarea, select"));
  };

  const put = (part, fresh) => {
    if (part.innerHTML === fresh.innerHTML) return;
    const at = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const left = [...part.querySelectorAll(".wide, pre")].map((box) => box.scrollLeft);
    part.replaceChildren(...document.importNode(fresh, true).childNodes);
    part.querySelectorAll(".wide, pre").forEach((box, i) => { box.scrollLeft = left[i] || 0; });
    if (at) [...part.querySelectorAll("a[href]")].find((a) => a.getAttribute("href") === at)?.focus();
  };

  let fetching = false;
  let again = false;
  const look = async () => {
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const { answer, page: fresh } = await page(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected) { location.href = answer.url; return; }
      if (!answer.ok) throw new Error(answer.statusText);
      for (const part of document.querySelectorAll(".part[id]")) {
        const other = fresh.getElementById(part.id);
        if (other && !busy(part)) put(part, other);
      }
      say("live", true);
    } catch {
      say("not reached", false);
    } finally {
      fetching = false;
      if (again) { again = false; setTimeout(look, 300); }
    }
  };

  const say = (text, on) => {
    if (!pulse) return;
    if (pulse.textContent !== text) pulse.textContent = text;
    pulse.classList.toggle("on", on);
  };

  // A page that nobody sees asks for nothing. The browser comes back by itself to a node that was not reached; where another answer ends what it followed, as
  // that of a node which has started again and knows nobody, or of a proxy before it, the page is asked for what became of it, and follows anew.
  const follow = (url, on, refused) => {
    let source = null;
    let waits = 0;
    const turn = () => {
      clearTimeout(waits);
      if (source?.readyState === EventSource.CLOSED) source = null;
      if (document.hidden) {
        source?.close();
        source = null;
      } else if (!source) {
        source = new EventSource(url);
        source.addEventListener("error", () => {
          if (source?.readyState !== EventSource.CLOSED) return;
          refused();
          waits = setTimeout(turn, 5000);
        });
        source.addEventListener("ended", () => location.replace("/signin?to=" + encodeURIComponent(location.pathname + location.search)));
        on(source);
      }
    };
    document.addEventListener("visibilitychange", turn);
    addEventListener("pagehide", () => source?.close());
    // Who signs out is led on by the answer to the form, and not by the end of what the page follows.
    addEventListener("submit", (e) => { if (!e.defaultPrevented) source?.close(); });
    turn();
  };

  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

  const live = document.body.dataset.live;
  if (live) {
    follow(live, (source) => {
      let first = true;
      source.addEventListener("look", () => {
        if (first) { first = false; say("live", true); return; }
        look();
      });
      source.onerror = () => say("not reached", false);
    }, look);
  }

  const line = (log, said) => {
    const row = document.createElement("div");
    const time = document.createElement("time");
    const version = document.createElement("span");
    const text = document.createElement("span");
    row.className = "line";
    time.dateTime = time.title = said.time;
    time.textContent = new Date(said.time).toISOString().slice(11, 23);
    version.className = "dim";
    version.textContent = " v" + said.version + " ";
    text.className = "said";
    text.textContent = said.text;
    row.append(time, version, text);
    const end = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
    log.append(row);
    while (log.children.length > maxLines) log.firstElementChild.remove();
    if (end) log.scrollTop = log.scrollHeight;
  };

  for (const log of document.querySelectorAll("[data-log]")) {
    follow(log.dataset.log, (source) => {
      source.addEventListener("begin", () => log.replaceChildren());
      source.addEventListener("line", (e) => line(log, JSON.parse(e.data)));
      source.addEventListener("broken", (e) => {
        log.append(JSON.parse(e.data));
        source.close();
      });
    }, look);
  }

  for (const part of document.querySelectorAll("[data-fetch]")) {
    page(part.dataset.fetch).then(({ answer, page: fresh }) => {
      const other = fresh.getElementById(part.id);
      if (answer.ok && other) put(part, other);
    }).catch(() => {});
  }

  for (const form of document.querySelectorAll("form[data-swap]")) {
    form.addEventListener("submit", async (e) => {
      e.preventDefault();
      const button = form.querySelector("button");
      const part = document.querySelector(form.dataset.swap);
      button.disabled = true;
      part.setAttribute("aria-busy", "true");
      try {
        const { answer, page: fresh } = await page(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
        if (answer.redirected) { location.href = answer.url; return; }
        const other = fresh.querySelector(form.dataset.swap) || fresh.querySelector(".alarm");
        part.replaceChildren(...(other ? document.importNode(other, true).childNodes : ["The node's answer cannot be read."]));
      } catch {
        part.replaceChildren("The node is not reached.");
      } finally {
        button.disabled = false;
        part.removeAttribute("aria-busy");
      }
    });
  }

  for (const all of document.querySelectorAll("[data-all]")) {
    all.addEventListener("change", () => {
      for (const one of all.form.elements[all.dataset.all].length ? all.form.elements[all.dataset.all] : [all.form.elements[all.dataset.all]]) one.checked = all.checked;
    });
  }
})();
