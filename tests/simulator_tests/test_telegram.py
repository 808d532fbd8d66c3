"""The simulated Telegram: as strict as the contract, and as stubborn as the real one."""

from typing import Any

import pytest
import requests

from tests.simulator_tests.recorder import Recorder
from tests.simulators import Customer, TelegramBot, World
from tests.simulators.telegram import picture
from tests.simulators.telegram_html import read_html

Json = dict[str, Any]
SECRET = "a-secret-token-of-thirty-two-characters"  # noqa: S105
KINDS = ["message", "edited_message", "callback_query", "my_chat_member"]


@pytest.fixture
def bot(world: World, app: Recorder) -> TelegramBot:
    """A bot whose webhook is the recorder."""
    bot: TelegramBot = world.add_messenger("shop", "Corner shop", channel="telegram")
    bot.retry_delays = (0, 0.01)
    hook = {"url": f"{app.url}/webhooks/lines/key", "secret_token": SECRET, "allowed_updates": KINDS}
    assert call(bot, "setWebhook", **hook) == {"ok": True, "result": True}
    return bot


@pytest.fixture
def ann(bot: TelegramBot) -> Customer:
    """A customer who has pressed Start."""
    ann = bot.add_customer("Ann Miller", username="ann")
    bot.write(ann, "/start", wait=True)
    return ann


def call(bot: TelegramBot, method: str, files: Any = None, **fields: Any) -> Json:
    url = f"{bot.world.base_url}/telegram/bot{bot.token}/{method}"
    sent = {"data": fields, "files": files} if files else {"json": fields}
    answer: Json = requests.post(url, timeout=10, **sent).json()
    return answer


def description(answer: Json) -> str:
    assert answer["ok"] is False
    return f"{answer['error_code']} {answer['description']}"


def test_updates_carry_the_secret_and_are_numbered(bot: TelegramBot, ann: Customer, app: Recorder) -> None:
    sent = bot.write(ann, "Hi", files=[("a.png", picture("a"))], wait=True)
    assert sent.message is not None
    bot.edit(sent.message.id, "Hello", wait=True)
    bot.press(ann, "yes", wait=True)
    bot.block(ann, wait=True)
    bot.delete(sent.message.id)
    bot.read(ann)
    assert {call.headers["x-telegram-bot-api-secret-token"] for call in app.calls} == {SECRET}
    first, photo, edited, pressed, blocked = (call.json for call in app.calls)
    numbers = [update["update_id"] for update in (first, photo, edited, pressed, blocked)]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert first["message"]["from"]["id"] == first["message"]["chat"]["id"] == int(ann.id)
    assert (photo["message"]["caption"], len(photo["message"]["photo"])) == ("Hi", 2)
    assert edited["edited_message"]["message_id"] == photo["message"]["message_id"]
    assert pressed["callback_query"]["data"] == "yes"
    assert blocked["my_chat_member"]["new_chat_member"]["status"] == "kicked"


def test_an_update_that_is_not_taken_holds_back_its_chat(bot: TelegramBot, ann: Customer, app: Recorder) -> None:
    app.calls.clear()
    app.answers = [503, 500, 422]
    for text in ("one", "two"):
        bot.write(ann, text)
    assert bot.world.settle()
    assert [call.json["message"]["text"] for call in app.calls] == ["one"] * 4 + ["two"]
    info = call(bot, "getWebhookInfo")["result"]
    assert info["last_error_message"] == "Wrong response from the webhook: 422"
    assert info["pending_update_count"] == 0


def test_kinds_of_updates_that_were_not_asked_for_are_not_sent(
    bot: TelegramBot, ann: Customer, app: Recorder
) -> None:
    assert bot.webhook is not None
    bot.webhook.allowed_updates = ["message"]
    app.calls.clear()
    bot.block(ann, wait=True)
    assert app.calls == []


def test_a_message_is_kept_as_the_customer_sees_it(bot: TelegramBot, ann: Customer) -> None:
    sent = call(bot, "sendMessage", chat_id=ann.id, text="<b>1</b> &lt; 2", parse_mode="HTML")["result"]
    assert sent["text"] == "1 < 2"
    form = {"photo": ("a.png", picture("a"))}
    photo = call(bot, "sendPhoto", form, chat_id=ann.id, caption="Look")["result"]
    assert [(message.text, len(message.files)) for message in bot.messages(ann)[1:]] == [("1 < 2", 0), ("Look", 1)]
    place = {"chat_id": ann.id, "message_id": photo["message_id"]}
    assert "there is no text" in description(call(bot, "editMessageText", **place, text="x"))
    assert call(bot, "editMessageCaption", **place, caption="There")["result"]["caption"] == "There"
    assert "not modified" in description(call(bot, "editMessageCaption", **place, caption="There"))
    assert call(bot, "deleteMessage", **place)["result"] is True
    assert "not found" in description(call(bot, "deleteMessage", **place))
    assert bot.world.breaches == []


def test_files_are_served_under_the_token_only(bot: TelegramBot, ann: Customer) -> None:
    sent = bot.write(ann, "", files=[("a.pdf", b"content")], wait=True)
    assert sent.message is not None
    path = call(bot, "getFile", file_id=sent.message.files[0].id)["result"]["file_path"]
    base = f"{bot.world.base_url}/telegram/file/bot"
    assert requests.get(f"{base}{bot.token}/{path}", timeout=10).content == b"content"
    assert requests.get(f"{base}1:x/{path}", timeout=10).status_code == 401
    large = bot.write(ann, "", files=[("b.pdf", bytes(20 * 1024 * 1024 + 1))], wait=True)
    assert large.message is not None
    assert "too big" in description(call(bot, "getFile", file_id=large.message.files[0].id))


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"chat_id": "1"}, "400 Bad Request: chat not found"),
        ({"text": " "}, "400 Bad Request: message text is empty"),
        ({"text": "я" * 4097}, "400 Bad Request: message is too long"),
        ({"text": "😀" * 2049}, "400 Bad Request: message is too long"),
        ({"text": "<b>x", "parse_mode": "HTML"}, "400 Bad Request: can't parse entities"),
        ({"parse_mode": "Markdown"}, "400 Bad Request: parse_mode must be one of HTML"),
        ({"reply_parameters": {"message_id": 99}}, "400 Bad Request: message to be replied not found"),
        ({"colour": "red"}, "400 Bad Request: colour is not a field"),
    ],
)
def test_what_the_contract_does_not_allow_is_refused(
    bot: TelegramBot, ann: Customer, change: Json, answer: str
) -> None:
    got = call(bot, "sendMessage", **{"chat_id": ann.id, "text": "x", **change})
    assert description(got).startswith(answer)


def test_who_cannot_be_reached_is_said(bot: TelegramBot, ann: Customer) -> None:
    stranger = bot.add_customer("Bob")
    assert "can't initiate" in description(call(bot, "sendMessage", chat_id=stranger.id, text="x"))
    bot.block(ann, wait=True)
    assert "blocked" in description(call(bot, "sendMessage", chat_id=ann.id, text="x"))


def test_photos_voices_and_albums_have_rules(bot: TelegramBot, ann: Customer) -> None:
    def send(method: str, content: bytes) -> Json:
        return call(bot, method, {method.removeprefix("send").lower(): ("a", content)}, chat_id=ann.id)

    assert "PHOTO_INVALID_DIMENSIONS" in description(send("sendPhoto", picture("a", width=9000, height=1001)))
    assert "IMAGE_PROCESS_FAILED" in description(send("sendPhoto", b"no picture"))
    bot.refusing_voice.add(ann.id)
    assert "VOICE_MESSAGES_FORBIDDEN" in description(send("sendVoice", b"ogg"))
    assert bot.world.breaches == []
    album = {"f0": ("a", b"x"), "f1": ("b", b"x")}
    for media in (
        '[{"type": "document", "media": "attach://f0"}]',
        '[{"type": "document", "media": "attach://f0"}, {"type": "video", "media": "attach://f1"}]',
        '[{"type": "document", "media": "attach://f0"}, {"type": "document", "media": "attach://f9"}]',
    ):
        assert call(bot, "sendMediaGroup", album, chat_id=ann.id, media=media)["ok"] is False
    assert len(bot.world.breaches) == 3


def test_a_token_or_a_method_nobody_knows_is_refused(world: World, bot: TelegramBot) -> None:
    answer = requests.post(f"{world.base_url}/telegram/bot1:x/getMe", json={}, timeout=10)
    assert (answer.status_code, answer.json()["description"]) == (401, "Unauthorized")
    assert description(call(bot, "sendPoll")).startswith("404")
    bot.throttle(times=1, seconds=7)
    throttled = call(bot, "getMe")
    assert (throttled["error_code"], throttled["parameters"]) == (429, {"retry_after": 7})
    assert call(bot, "getMe")["result"]["username"] == "shop_bot"


@pytest.mark.parametrize(
    "html",
    [
        *(
            "<b>x",
            "x</b>",
            "<b><i>x</b></i>",
            "a & b",
            "1 < 2",
            "a > b",
            "&nbsp;",
            "<p>x</p>",
            "<b class='x'>y</b>",
        ),
        *('<a href="javascript:x">y</a>', "<a>y</a>", "<code><b>x</b></code>", "<pre><b>x</b></pre>"),
        *("<blockquote><blockquote>x</blockquote></blockquote>", '<code class="language-py">x</code>', "<br>"),
    ],
)
def test_html_that_telegram_would_not_parse(html: str) -> None:
    with pytest.raises(ValueError, match="can't parse entities"):
        read_html(html)


def test_html_that_telegram_parses() -> None:
    html = (
        '<b>a<i>b</i></b> <a href="https://x.ua/?a=1&amp;b=2">c</a> &lt;&#42;&gt;\n'
        '<pre><code class="language-py">d</code></pre><blockquote><s>e</s></blockquote>'
    )
    assert read_html(html) == "ab c <*>\nde"
