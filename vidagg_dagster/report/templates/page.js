"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const data = JSON.parse(document.getElementById("data").textContent);
  const rowsOf = name => {
    const answer = data[name];
    return answer.rows.map(row => Object.fromEntries(answer.columns.map((key, at) => [key, row[at]])));
  };
  const format = (value, places = 0) => value.toLocaleString(root.lang, {
    minimumFractionDigits: places, maximumFractionDigits: places, useGrouping: "always",
  });

  // Pages: the part of the address behind # says which one is shown; print shows all of them.
  const pages = all("[data-page]");
  const show = () => {
    const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const page = wanted?.closest("[data-page]") ?? pages[0];
    if (wanted?.id === "main") return;
    for (const one of pages) one.hidden = one !== page;
    const current = page.classList.contains("video") ? "overview" : page.id;
    for (const link of all("nav a")) {
      if (link.hash === `#${current}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (wanted && wanted !== page) wanted.scrollIntoView(); else scrollTo(0, 0);
  };
  addEventListener("hashchange", show);
  show();

  // Tables that a heading sorts.
  const sortValue = cell => {
    if (cell.dataset.sort !== undefined) return cell.dataset.sort;
    return cell.textContent.trim();
  };
  const asNumber = text => {
    const plain = root.lang === "de" ? text.replaceAll(".", "").replace(",", ".") : text.replaceAll(",", "");
    return text === "" ? NaN : parseFloat(plain);
  };
  const compare = (a, b) => {
    const [x, y] = [asNumber(a), asNumber(b)];
    if (Number.isNaN(x) && Number.isNaN(y)) return a.localeCompare(b, root.lang);
    return (Number.isNaN(x) ? -Infinity : x) - (Number.isNaN(y) ? -Infinity : y);
  };
  for (const table of all("table.sortable")) {
    const headings = all("thead th[scope]", table);
    for (const heading of headings) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      const numeric = heading.classList.contains("n");
      button.addEventListener("click", () => {
        const down = heading.ariaSort ? heading.ariaSort === "ascending" : numeric;
        for (const one of headings) one.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const at = heading.cellIndex;
        const text = row => sortValue(row.cells[at]);
        const order = numeric ? (a, b) => compare(text(a), text(b))
          : (a, b) => text(a).localeCompare(text(b), root.lang);
        const rows = [...table.tBodies[0].rows].sort((a, b) => down ? order(b, a) : order(a, b));
        table.tBodies[0].append(...rows);
      });
    }
  }

  // The position of a curve: the slider and the pointer set it, a line and a sentence show it.
  const clock = ms => {
    const s = Math.floor(ms / 1000), two = n => String(n).padStart(2, "0");
    return s < 3600 ? `${Math.floor(s / 60)}:${two(s % 60)}`
      : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  };
  const curves = new Map((data.curve ? rowsOf("curve") : []).map(row => [row.videoId, row]));
  for (const figure of all("figure.anatomy")) {
    const curve = curves.get(figure.dataset.video);
    const slider = figure.querySelector("input[type=range]");
    const output = figure.querySelector("output");
    const sentence = document.getElementById("sentence").content.textContent;
    const read = () => {
      const at = slider.valueAsNumber;
      const x = `${100 * (at + 0.5) / curve.viewers.length}%`;
      for (const line of all(".cursor", figure)) {
        line.setAttribute("x1", x);
        line.setAttribute("x2", x);
      }
      const whole = Number(figure.querySelector("[type=radio]:checked").dataset.whole);
      const viewers = curve.viewers[at];
      const told = {
        position: `${clock(at * curve.binMs)}–${clock(Math.min((at + 1) * curve.binMs, curve.endMs))}`,
        viewers: format(viewers),
        percent: `${format(100 * viewers / whole, 1)}\u202f%`,
        again: format(curve.again[at], 1),
        left: format(curve.lastSeenHere[at]),
        skipped: format(curve.skippedOver[at]),
      };
      output.textContent = sentence.replace(/\{(\w+)\}/g, (_, name) => told[name]);
      slider.setAttribute("aria-valuetext", output.textContent);
    };
    slider.addEventListener("input", read);
    figure.addEventListener("change", read);
    for (const plot of all(":scope > svg", figure)) {
      plot.addEventListener("pointermove", event => {
        const box = plot.getBoundingClientRect();
        slider.value = Math.floor((event.clientX - box.left) / box.width * curve.viewers.length);
        read();
      });
    }
  }

  // The matrix: filter and download.
  const filter = document.querySelector("form.filter");
  if (filter) {
    const table = document.querySelector("table.matrix");
    const videos = rowsOf("columns");
    const rows = rowsOf("matrix").map((row, at) => ({
      user: row.userId, hours: row.watchHours, line: table.tBodies[0].rows[at],
      seen: new Map(row.places.map((place, n) => [place, row.seen[n]])),
    }));
    const { user, video, state, csv } = filter.elements;
    const states = {
      any: () => true, none: seen => !seen, begun: seen => seen > 0, done: seen => seen >= 95,
    };
    const shares = row => video.value === "" ? videos.map(one => row.seen.get(one.place))
      : [row.seen.get(Number(video.value))];
    const chosen = () => rows.filter(row => row.user.includes(user.value)
      && shares(row).some(states[state.value]));
    const output = filter.querySelector("output");
    const apply = () => {
      const kept = new Set(chosen());
      for (const row of rows) row.line.hidden = !kept.has(row);
      output.textContent = output.dataset.text.replace("{shown}", format(kept.size))
        .replace("{all}", format(rows.length));
    };
    filter.addEventListener("input", apply);
    filter.addEventListener("submit", event => event.preventDefault());
    apply();
    // An apostrophe keeps a spreadsheet from taking an id for a formula.
    const field = value => {
      const text = String(value ?? "");
      const safe = typeof value === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text;
      return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    csv.addEventListener("click", () => {
      const lines = [["userId", "watchHours", ...videos.map(one => one.videoId)], ...chosen().map(row =>
        [row.user, row.hours, ...videos.map(one => row.seen.get(one.place))])];
      const text = lines.map(line => line.map(field).join(",")).join("\r\n") + "\r\n";
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
      link.download = "users_and_videos.csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  for (const button of all("button.copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      getSelection().selectAllChildren(code);
      await navigator.clipboard?.writeText(code.textContent);
      const label = button.textContent;
      button.textContent = button.dataset.done;
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  }
})();
