"""SNS topics that wait for a decision."""

import pytest

from messaging.models import SnsTopic
from tests.console.desk import act, list_url, page_url

pytestmark = pytest.mark.django_db


def test_those_that_wait_come_first_on_every_page(staff, monkeypatch):
    monkeypatch.setattr("console.topics.SnsTopicAdmin.list_per_page", 2)
    for number, status in enumerate(["pending", "approved", "pending", "rejected", "approved"]):
        SnsTopic.objects.create(arn=f"{number}", status=status)
    client, url, arns = staff(), list_url("snstopic"), []
    while url:
        cl = client.get(url).context["cl"]
        arns += [topic.arn for topic in cl.result_list]
        url = cl.next_url and f"{list_url('snstopic')}{cl.next_url}"
    assert arns == ["2", "0", "4", "3", "1"]


def test_what_approving_means_is_said_before_the_buttons(staff, fill):
    fill()
    page = staff("approve_snstopic").get(page_url(SnsTopic.objects.get())).content.decode()
    assert 0 < page.index("in the name of every portal") < page.index('value="approve"')


def test_what_is_decided_already_is_not_offered(staff, fill):
    fill()
    SnsTopic.objects.update(status="approved")
    client = staff("approve_snstopic")
    page = client.get(page_url(SnsTopic.objects.get())).content.decode()
    assert 'value="reject"' in page
    assert 'value="approve"' not in page
    SnsTopic.objects.update(error="404")  # it could not be confirmed: approving tries again
    assert 'value="approve"' in client.get(page_url(SnsTopic.objects.get())).content.decode()


def test_a_topic_is_approved_and_then_rejected(staff, fill):
    fill(2)
    chosen, other = SnsTopic.objects.order_by("id")
    SnsTopic.objects.update(error="404")
    client = staff("approve_snstopic")
    assert "Approved." in act(client, "snstopic", "approve", chosen)
    chosen.refresh_from_db()
    assert (chosen.status, chosen.error) == ("approved", "")
    assert f"{chosen.arn} is rejected." in act(client, "snstopic", "reject", chosen)
    chosen.refresh_from_db()
    other.refresh_from_db()
    assert (chosen.status, other.status) == ("rejected", "pending")


@pytest.mark.parametrize("action", ["approve", "reject"])
def test_without_permission_no_topic_is_decided_on(staff, fill, action):
    fill()
    client = staff("requeue_delivery", "reprocess_webhookevent")
    page = client.get(list_url("snstopic")).content.decode()
    assert f'value="{action}"' not in page
    act(client, "snstopic", action, SnsTopic.objects.get())
    assert SnsTopic.objects.get().status == "pending"


def test_a_topic_that_the_settings_trust_is_not_rejected_here(staff, fill, settings):
    fill()
    topic = SnsTopic.objects.get()
    settings.SNS_TOPIC_ARNS = [topic.arn]
    client = staff("approve_snstopic")
    page = client.get(page_url(topic)).content.decode()
    assert "trusted by SNS_TOPIC_ARNS" in page
    assert 'value="reject"' not in page
    assert "is trusted by SNS_TOPIC_ARNS: remove it there." in act(client, "snstopic", "reject", topic)
    assert SnsTopic.objects.get().status == "pending"
