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
