"""Forms of the account pages."""

from uuid import uuid4
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.password_validation import UserAttributeSimilarityValidator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.forms import validate_plain_text
from tenants.actors import Role
from tenants.models import User

# What the browser offers while one types; every zone that the system knows is accepted.
COMMON_ZONES: tuple[str, ...] = (
    "Asia/Seoul",
    "Asia/Tokyo",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Kolkata",
    "Asia/Dubai",
    "Europe/London",
    "Europe/Berlin",
    "UTC",
)
COMMON_ZONES += (
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Australia/Sydney",
)


class PreferencesForm(forms.ModelForm[User]):
    """Language, theme and time zone of one person."""

    class Meta:
        model = User
        fields = ["language", "theme", "time_zone"]
        widgets = {
            "time_zone": forms.TextInput(
                attrs={"list": "zones", "autocomplete": "off", "spellcheck": "false"}
            )
        }

    def __init__(self, *args: object, **told: object) -> None:
        super().__init__(*args, **told)  # type: ignore[arg-type]
        self.fields["language"].widget.choices = [
            ("", _("As the browser has it")),
            ("ko", "한국어"),
            ("en", "English"),
        ]

    def clean_time_zone(self) -> str:
        zone = str(self.cleaned_data["time_zone"])
        if zone not in available_timezones():
            raise forms.ValidationError(_("There is no such time zone. Write it like Asia/Seoul."))
        return zone


class NotLikeTheAccount(UserAttributeSimilarityValidator):
    """Django's check, in words of ours: its own put the name of a field before a Korean particle that seldom fits."""

    def get_error_message(self) -> str:
        return gettext(
            "The password is too much like your user name, your name or your e-mail address. Choose another one."
        )


class NewPasswordForm(PasswordChangeForm):
    """Django's, on a page that has more than this form: nobody is carried to it."""

    def __init__(self, *args: object, **told: object) -> None:
        super().__init__(*args, **told)  # type: ignore[arg-type]
        self.fields["old_password"].widget.attrs.pop("autofocus", None)


class MemberForm(forms.Form):
    """Who is to be invited, and as what."""

    username = forms.CharField(max_length=150, validators=[validate_plain_text], label=_("User name"))
    role = forms.ChoiceField(choices=Role, initial=Role.DEVELOPER, label=_("Role"))


class RoleForm(forms.Form):
    """A member's new role."""

    role = forms.ChoiceField(choices=Role)


class NewTokenForm(forms.Form):
    """A token as people choose it: its end in days, and its id, so that the form makes one however often it is sent. `ApiTokenForm` checks what comes of it."""

    ENDS = [("30", _("30 days")), ("90", _("90 days")), ("365", _("1 year")), ("", _("Never"))]

    id = forms.UUIDField(required=False, widget=forms.HiddenInput, initial=uuid4)
    name = forms.CharField(
        max_length=100,
        validators=[validate_plain_text],
        label=_("Name"),
        help_text=_("What it is for, such as: CI pipeline."),
    )
    role = forms.ChoiceField(choices=Role, initial=Role.DEVELOPER, label=_("Role"))
    days = forms.ChoiceField(choices=ENDS, initial="90", required=False, label=_("Expires"))
