"use strict";

// Times come in UTC; the viewer reads them in their own zone.
document.addEventListener("DOMContentLoaded", () => {
    const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
    for (const time of document.querySelectorAll("time[datetime]")) {
        time.title = format.format(new Date(time.dateTime));
        if (time.dataset.exact !== undefined) {
            time.textContent = time.title;
        }
    }
});

// Icons are words of a font, which a screen reader would read out: what they mean stands beside them, or as a title.
document.addEventListener("DOMContentLoaded", () => {
    for (const icon of document.querySelectorAll(".material-symbols-outlined")) {
        icon.setAttribute("aria-hidden", "true");
    }
});

// What a button names is copied; where the browser does not allow it, it is shown to be copied by hand.
document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button || button.dataset.label !== undefined) {
        return;
    }
    try {
        await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
        window.prompt(button.textContent, button.dataset.copy);
        return;
    }
    button.dataset.label = button.textContent;
    button.textContent = button.dataset.copied;
    setTimeout(() => {
        button.textContent = button.dataset.label;
        delete button.dataset.label;
    }, 2000);
});
