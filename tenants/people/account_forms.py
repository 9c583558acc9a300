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

# Suggestions of the browser; every zone of the system is accepted.
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

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["language"].widget.choices = [
            ("", _("As the browser has it")),
            ("ko", "한국어"),
            ("en", "English"),
        ]

    def clean_time_zone(self) -> str:
        zone = str(self.cleaned_data["time_zone"])
        if zone not in available_timezones():
            raise forms.ValidationError(_("Unknown time zone. Enter one such as Asia/Seoul."))
        return zone


class NotLikeTheAccount(UserAttributeSimilarityValidator):
    """Django's check with our text: Django's Korean puts a wrong particle after the field's name."""

    def get_error_message(self) -> str:
        return gettext(
            "The password is too similar to your user name, name or e-mail address. Choose another one."
        )


class NewPasswordForm(PasswordChangeForm):
    """Django's form without autofocus, because its page has other forms too."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["old_password"].widget.attrs.pop("autofocus", None)


class MemberForm(forms.Form):
    """The person to invite, and their role."""

    username = forms.CharField(max_length=150, validators=[validate_plain_text], label=_("User name"))
    role = forms.ChoiceField(choices=Role, initial=Role.DEVELOPER, label=_("Role"))


class RoleForm(forms.Form):
    """A member's new role."""

    role = forms.ChoiceField(choices=Role)


class NewTokenForm(forms.Form):
    """A new token: `days` until it expires, and an id, so that sending the form twice creates one token.

    `ApiTokenForm` checks the result.
    """

    ENDS = [("30", _("30 days")), ("90", _("90 days")), ("365", _("1 year")), ("", _("Never"))]

    id = forms.UUIDField(required=False, widget=forms.HiddenInput, initial=uuid4)
    name = forms.CharField(
        max_length=100,
        validators=[validate_plain_text],
        label=_("Name"),
        help_text=_("Its purpose, such as CI pipeline."),
    )
    role = forms.ChoiceField(choices=Role, initial=Role.DEVELOPER, label=_("Role"))
    days = forms.ChoiceField(choices=ENDS, initial="90", required=False, label=_("Expires"))
