"""Beat's schedule, which lives in the database."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override
from django_celery_beat.admin import CrontabScheduleAdmin as BeatCrontabAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BeatTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm, TaskSelectWidget
from django_celery_beat.models import PeriodicTask
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from console.formats import moment


class TaskSelect(UnfoldAdminSelectWidget, TaskSelectWidget):
    """The tasks there are, to choose from."""


class ScheduleForm(PeriodicTaskForm):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:  # they are not in the form of who may only look
            self.fields["task"].widget = UnfoldAdminTextInputWidget()
            self.fields["regtask"].widget = TaskSelect()


class PeriodicTaskAdmin(BeatTaskAdmin, ModelAdmin):
    form = ScheduleForm
    change_form_template = None  # beat's own has a script in it, which our content policy forbids
    date_hierarchy = None
    list_display = ("name", "enabled", "runs", "last_run")
    list_filter = ("enabled",)
    actions = ("enable_tasks", "disable_tasks", "run_tasks")
    fieldsets = (
        (None, {"fields": ("name", "regtask", "task", "enabled", "description")}),
        (_("Schedule"), {"fields": ("interval", "crontab", "one_off", "start_time", "last_run_at")}),
        (_("Arguments"), {"fields": ("args", "kwargs", "queue")}),
    )
    readonly_fields = ("last_run_at",)

    @admin.display(description=_("Schedule"))
    def runs(self, task: PeriodicTask) -> str:
        return str(task.scheduler)

    @admin.action(description=_("Enable selected tasks"), permissions=["change"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._record(request, queryset, "Enabled.")
        super().enable_tasks(request, queryset)

    @admin.action(description=_("Disable selected tasks"), permissions=["change"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._record(request, queryset, "Disabled.")
        super().disable_tasks(request, queryset)

    @admin.action(description=_("Run selected tasks"), permissions=["change"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._record(request, queryset, "Run by hand.")
        super().run_tasks(request, queryset)

    def _record(self, request: HttpRequest, tasks: QuerySet[PeriodicTask], what: str) -> None:
        for task in tasks:
            with override("en"):
                self.log_change(request, task, what)

    @admin.display(description=_("Last run"))
    def last_run(self, task: PeriodicTask) -> str:
        return moment(task.last_run_at)

    def has_delete_permission(self, request: HttpRequest, obj: PeriodicTask | None = None) -> bool:
        return False  # what a migration made does not come back: disable it


class IntervalScheduleAdmin(ModelAdmin):
    pass


class CrontabScheduleAdmin(BeatCrontabAdmin, ModelAdmin):
    inlines = ()
