"use strict";

// The hours of the charts come in UTC; the viewer reads them in their own zone.
document.addEventListener("DOMContentLoaded", () => {
    const language = document.documentElement.lang;
    const formats = {
        hour: new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
        day: new Intl.DateTimeFormat(language, { weekday: "short", day: "numeric" }),
    };
    for (const time of document.querySelectorAll("time[data-shown]")) {
        time.textContent = formats[time.dataset.shown].format(new Date(time.dateTime));
    }
    for (const column of document.querySelectorAll("[data-hour]")) {
        const hour = new Date(column.dataset.hour);
        column.title = `${formats.day.format(hour)}, ${formats.hour.format(hour)}: ${column.dataset.text}`;
    }
});
