// Enhancements only: every page does its work without this file.
"use strict";

const typing = (element) =>
  element.isContentEditable
  || (/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) && !/^(checkbox|radio)$/.test(element.type));

// Keys: "/" to the search box, "?" to the help, g and a letter to a page, j and k to the
// neighbours, x ticks a row, Escape closes a menu; a button may have a key of its own.
const PLACES = {
  o: "/", c: "/contacts", f: "/companies", v: "/conversations", u: "/unmatched", i: "/imports",
  s: "/syncs", e: "/events", t: "/settings",
};
let going = false;

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (event.target.id === "search") event.target.blur();
    return closeMenus();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const gone = going;
  going = event.key === "g";
  if (gone && PLACES[event.key]) {
    // The navigation's own link knows the website.
    const path = PLACES[event.key];
    const link = [...document.querySelectorAll(".side .nav a")].find((a) => a.pathname === path);
    if (link) link.click();
  } else if (event.key === "?") {
    const help = document.querySelector(".side a[href^=\"/help\"]");
    if (help) help.click();
  } else if (event.key === "/") {
    const search = document.getElementById("search");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "j" || event.key === "k") {
    step(event.key === "j" ? 1 : -1);
  } else if (event.key === "x") {
    const row = document.activeElement.closest("tr");
    const box = row && row.querySelector("input[name=ids]");
    if (box) box.click();
  } else if (!event.repeat) {
    const button = document.querySelector(`main [data-key="${CSS.escape(event.key)}"]`);
    if (button) button.click();
  }
});

function step(direction) {
  const rows = [...document.querySelectorAll("main [data-row]")];
  if (rows.length) {
    const inside = (row) => row === document.activeElement
      || (row.closest("tr") && row.closest("tr").contains(document.activeElement));
    const here = rows.findIndex(inside);
    const next = here < 0 ? (direction > 0 ? 0 : rows.length - 1) : here + direction;
    const row = rows[Math.min(rows.length - 1, Math.max(0, next))];
    row.focus();
    row.scrollIntoView({ block: "nearest" });
    return;
  }
  const link = document.querySelector(`.neighbours a[rel=${direction > 0 ? "next" : "prev"}]`);
  if (link) link.click();
}

// A menu closes when something else is chosen.
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu === except) continue;
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector("summary").focus();
  }
}
document.addEventListener("click", (event) => {
  closeMenus(event.target.closest("details.menu"));
});

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Rows that are ticked: how many, and all of a page at once.
for (const form of document.querySelectorAll("form[data-ticks]")) {
  const boxes = [...form.querySelectorAll("input[name=ids]")];
  const all = form.querySelector("[data-tick-all]");
  const told = form.querySelector("[data-ticked]");
  if (!boxes.length || !all) continue;
  const tell = () => {
    const n = boxes.filter((box) => box.checked).length;
    told.textContent = n ? `${n} ticked:` : `${told.dataset.none}:`;
    all.checked = n === boxes.length;
    all.indeterminate = n > 0 && !all.checked;
  };
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    tell();
  });
  form.addEventListener("change", tell);
  window.addEventListener("pageshow", tell);
}

// Running syncs: the server sends the card again whenever it changed.
for (const card of document.querySelectorAll("[data-events]")) follow(card);

function follow(card) {
  const source = new EventSource(card.dataset.events);
  source.addEventListener("card", (event) => {
    if (event.data) card = replaceCard(card, event.data);
  });
  source.addEventListener("end", () => {
    source.close();
    if (card.dataset.reload !== undefined) return location.reload();
    announce(card);
  });
  window.addEventListener("pagehide", () => source.close());
}

function replaceCard(card, html) {
  const parsed = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
  if (!parsed) return card;
  const kept = document.activeElement && document.activeElement.dataset.keep;
  const word = (element) => element.querySelector("header .chip").textContent.trim();
  const changed = word(parsed) !== word(card);
  const fresh = document.adoptNode(parsed);
  card.replaceWith(fresh);
  if (kept) {
    const again = [...fresh.querySelectorAll("[data-keep]")].find((b) => b.dataset.keep === kept);
    if (again) again.focus();
  }
  if (changed) announce(fresh);
  return fresh;
}

function announce(card) {
  const place = document.querySelector("[data-announce]");
  if (place) place.textContent = card.querySelector("header").textContent.replace(/\s+/g, " ").trim();
}
