"""What a process definition (data/processes/*.toml) may say: its states, transitions, deadlines, and who may do what."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Clock = Literal["waits", "runs", "paused", "stopped"]
Relation = Literal["place", "assignee", "unit", "head", "reporter", "other_grid", "system"]
FieldKind = Literal[
    "text", "longtext", "number", "money", "bool", "date", "datetime", "choice", "item", "deadline_class", "person", "unit", "case",
    "rating", "point", "extent",
]  # fmt: skip
Stage = Literal["before", "after", "evidence", "confirm"]
# What the engine knows how to do beside moving a case from one state to the next.
Effect = Literal[
    "clock.start",  # begin (or begin anew) the deadline of the case's class
    "clock.pause", "clock.stop",
    "clock.resume",  # go on after a pause, or after a stop: what lay between counts as a pause
    "clock.extend",  # by the answer `extend_days`, once the request is granted
    "classify",  # take item and class from the answers
    "route",  # find unit and person by the duty list
    "assign",  # take unit and person from the answers
    "take",  # the one who acts becomes the assignee
    "split",  # find the villages it touches, name a lead, make parts
    "part.done",  # the acting village's part is done
    "level.up",  # village → township → county
    "level.county",
    "supervise",  # tell the head (督办)
    "merge",  # into the case the answer `into` names
    "ask_reporter",  # tell the reporter the result and ask whether it holds
    "sample_callback",  # perhaps ask a member of another grid
    "callback.answer",  # what the member of another grid found: the answer `agrees`
    "rate",  # by the answer `rating`
    "reopen",  # open again: one more in `reopened`, no longer done, closed or ended
    "accept", "respond",  # accepted_at, responded_at, when they are not set
    "close",  # 办结: closed_at, and at which level
    "end",  # no longer open, whatever the end
]  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Who(_Part):
    """One kind of person who may take a step; all that is given must hold.

    Attributes
    ----------
    role : list of role ids, empty: any.
    permission : a permission of data/roles.toml.
    relation : to the case; ``place`` is what scope and row-level security say anyway.
    level : of the role (county, township, village, grid), empty: any.
    """

    role: list[str] = []
    permission: str | None = None
    relation: Relation = "place"
    level: list[Literal["county", "township", "village", "grid"]] = []


class FormField(_Part):
    """One answer a step asks for.

    Attributes
    ----------
    personal : True keeps the answer encrypted, apart from the case, masked by `mask`.
    public : True shows it to whoever follows the case by code.
    whole : a number without decimals.
    options : choices ``id = label``; or `codelist`, a file of data/codelists.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    name: str
    name_en: str = ""
    kind: FieldKind
    required: bool = False
    options: dict[str, str] = {}
    codelist: str | None = None
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    whole: bool = False
    max_length: int = 2000
    personal: bool = False
    mask: Literal["name", "phone", "id_number", "text"] = "text"
    public: bool = False
    hint: str = ""


class Evidence(_Part):
    """Photos a step must bring with it; those the case has already do not count.

    Attributes
    ----------
    unless_class : deadline classes that need none: a question answered leaves nothing to photograph.
    """

    stage: Stage
    at_least: int = Field(ge=1, le=9)
    unless_class: list[str] = []


class State(_Part):
    """Where a case can stand.

    Attributes
    ----------
    step : 1-based column of the board; states may share one.
    clock : what the deadline does here. Of the initial state ``runs`` means that it starts with the report.
    ends : the case is no longer open (办结, 退回, 合并).
    within : class of data/codelists/deadline_class.csv: how long a case may stay here before people are told.
    public_name : what whoever follows by code reads; open311: the status other systems read.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    name: str
    name_en: str
    step: int = Field(ge=1, le=20)
    clock: Clock
    ends: bool = False
    within: str | None = None
    public_name: str
    open311: Literal["open", "closed"]
    hint: str = ""


class Transition(_Part):
    """A step somebody takes.

    Attributes
    ----------
    source : states it starts from; to: where it leads, None: stays where it is (催办, 延期).
    form : answers, in order; evidence: photos.
    reason : the note is required.
    notify : who is told: relations, with `words` (``{case_no}``, ``{title}``, ``{state}``, ``{due}``, ``{note}``, ``{actor}``).
        However they are put, a notice begins with the news and ends with the case's number and title.
    public : whoever follows by code sees that it happened (and the public answers).
    undo_minutes : within which the same person may take it back, 0: never.
    bulk : may be taken for many cases at once.
    tone : how its button looks.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    name: str
    name_en: str
    source: list[str] = Field(min_length=1)
    to: str | None = None
    who: list[Who] = Field(min_length=1)
    form: list[FormField] = []
    evidence: list[Evidence] = []
    effects: list[Effect] = []
    reason: bool = False
    notify: list[Relation] = []
    words: str = ""
    public: bool = False
    undo_minutes: int = Field(default=0, ge=0, le=60)
    bulk: bool = False
    tone: Literal["main", "plain", "danger"] = "plain"


class Deadline(_Part):
    """How long the whole may take: a class by the case's item, or one for all.

    Attributes
    ----------
    calendar : file of data/calendars; hours: whose office hours when the unit in charge names none.
    at_risk_share : of the time allowed; from there on it is at risk (临期).
    began : what starts the clock, as the arithmetic says it.
    """

    calendar: str
    hours: str = "office"
    began: str = "受理"
    by: Literal["item", "fixed"]
    fixed: str | None = None
    at_risk_share: float = Field(gt=0, lt=1)
    longest_pause_days: int = Field(ge=1)
    longest_extension_days: int = Field(ge=0)
    extensions: int = Field(ge=0)


class Escalation(_Part):
    """What happens by itself when time passes: ``at`` a standing, after so many hours in it."""

    at: Literal["at_risk", "breached"]
    after_hours: float = Field(default=0, ge=0)
    transition: str | None = None
    notify: list[Relation] = []
    words: str = ""


class Reminder(_Part):
    """A notice before the deadline."""

    before_hours: float = Field(gt=0)
    notify: list[Relation]
    words: str


class Automatic(_Part):
    """A transition the system takes by itself after a time in a state (归档, 无人确认视为认可 …)."""

    transition: str
    after_days: float = Field(gt=0)


class Callback(_Part):
    """独立回访: which share of cases is looked at again by a member of another grid."""

    share: float = Field(ge=0, le=1)
    within: str


class Public(_Part):
    """What may be published of a case beside number, state and dates."""

    fields: list[str] = []
    board: bool = False


class Process(_Part):
    """One process, one version.

    Attributes
    ----------
    prefix : two letters of its case numbers.
    items : code list of data/codelists its cases are classified by, None: no items.
    initial : state of a new case; report: form a new case is made with, and who may; on_report: what happens then.
    """

    process: str = Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")
    version: int = Field(ge=1)
    name: str
    name_en: str
    prefix: str = Field(pattern=r"^[A-Z]{2}$")
    source: str
    items: str | None = None
    initial: str
    who_reports: list[Who] = Field(min_length=1)
    report: list[FormField] = []
    on_report: list[Effect] = []
    needs_place: bool = True
    deadline: Deadline
    state: list[State] = Field(min_length=2)
    transition: list[Transition] = Field(min_length=1)
    escalation: list[Escalation] = []
    reminder: list[Reminder] = []
    automatic: list[Automatic] = []
    callback: Callback | None = None
    public: Public = Public()

    def state_of(self, state: str) -> State:
        """The state of this id; KeyError when there is none."""
        return {s.id: s for s in self.state}[state]

    def transition_of(self, transition: str) -> Transition:
        """The transition of this id; KeyError when there is none."""
        return {t.id: t for t in self.transition}[transition]
