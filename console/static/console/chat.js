"use strict";

// The server writes times and days in UTC; the viewer reads them in their own zone.
document.addEventListener("DOMContentLoaded", () => {
    const language = document.documentElement.lang;
    const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
    const day = new Intl.DateTimeFormat(language, { dateStyle: "long" });
    document.querySelectorAll(".chat-day").forEach((line) => line.remove());
    let before = "";
    for (const time of document.querySelectorAll(".chat-list .chat-clock")) {
        const sent = new Date(time.dateTime);
        time.textContent = clock.format(sent);
        if (day.format(sent) !== before) {
            before = day.format(sent);
            const line = document.createElement("li");
            line.className = "chat-day";
            line.textContent = before;
            time.closest(".chat-row").before(line);
        }
    }
});
