"""What may happen to a session: facts in the past tense, made at the edges, judged by `core.transitions`.

A room for each side they come from; everybody else names them by this package (`ev.PromptReceived`).
"""

from __future__ import annotations

from slackbot.core.events.event import Event as Event
from slackbot.core.events.from_code_host import BranchMade as BranchMade
from slackbot.core.events.from_code_host import BranchNameTaken as BranchNameTaken
from slackbot.core.events.from_code_host import BranchTidied as BranchTidied
from slackbot.core.events.from_code_host import MergedBranchSeen as MergedBranchSeen
from slackbot.core.events.from_code_host import PullRequestActDone as PullRequestActDone
from slackbot.core.events.from_code_host import PullRequestActRefused as PullRequestActRefused
from slackbot.core.events.from_code_host import PullRequestObserved as PullRequestObserved
from slackbot.core.events.from_code_host import PullRequestOpened as PullRequestOpened
from slackbot.core.events.from_code_host import PullRequestRefused as PullRequestRefused
from slackbot.core.events.from_code_host import PullRequestWatchEnded as PullRequestWatchEnded
from slackbot.core.events.from_code_host import PullRequestWorkPrepared as PullRequestWorkPrepared
from slackbot.core.events.from_code_host import ReviewAnswered as ReviewAnswered
from slackbot.core.events.from_people import AsideSaid as AsideSaid
from slackbot.core.events.from_people import CancelRequested as CancelRequested
from slackbot.core.events.from_people import EditorLinkRedeemed as EditorLinkRedeemed
from slackbot.core.events.from_people import ForgetRequested as ForgetRequested
from slackbot.core.events.from_people import HandedOver as HandedOver
from slackbot.core.events.from_people import ListenRequested as ListenRequested
from slackbot.core.events.from_people import PermissionAnswered as PermissionAnswered
from slackbot.core.events.from_people import PromptDeleted as PromptDeleted
from slackbot.core.events.from_people import PromptEdited as PromptEdited
from slackbot.core.events.from_people import PromptHurried as PromptHurried
from slackbot.core.events.from_people import PromptReceived as PromptReceived
from slackbot.core.events.from_people import PullRequestActRequested as PullRequestActRequested
from slackbot.core.events.from_people import PullRequestRequested as PullRequestRequested
from slackbot.core.events.from_people import RetryRequested as RetryRequested
from slackbot.core.events.from_people import StayExtended as StayExtended
from slackbot.core.events.from_people import StopRequested as StopRequested
from slackbot.core.events.from_people import TalkChanged as TalkChanged
from slackbot.core.events.from_people import UndoRequested as UndoRequested
from slackbot.core.events.from_slack import AnswerPosted as AnswerPosted
from slackbot.core.events.from_slack import CardTold as CardTold
from slackbot.core.events.from_slack import ChannelShared as ChannelShared
from slackbot.core.events.from_slack import ChannelUnshared as ChannelUnshared
from slackbot.core.events.from_slack import NoticePosted as NoticePosted
from slackbot.core.events.from_slack import OldCardRemoved as OldCardRemoved
from slackbot.core.events.from_slack import PermissionShown as PermissionShown
from slackbot.core.events.from_slack import PermissionTold as PermissionTold
from slackbot.core.events.from_slack import PullRequestCardTold as PullRequestCardTold
from slackbot.core.events.from_slack import RootDeleted as RootDeleted
from slackbot.core.events.from_slack import ThreadLost as ThreadLost
from slackbot.core.events.from_slack import TimePassed as TimePassed
from slackbot.core.events.from_slack import WarningPosted as WarningPosted
from slackbot.core.events.from_slack import WarningRemoved as WarningRemoved
from slackbot.core.events.from_task import FileShared as FileShared
from slackbot.core.events.from_task import FileTaken as FileTaken
from slackbot.core.events.from_task import LaunchDelayed as LaunchDelayed
from slackbot.core.events.from_task import LaunchFailed as LaunchFailed
from slackbot.core.events.from_task import ModelsUsed as ModelsUsed
from slackbot.core.events.from_task import PermissionAsked as PermissionAsked
from slackbot.core.events.from_task import PushBegun as PushBegun
from slackbot.core.events.from_task import SpendingExtended as SpendingExtended
from slackbot.core.events.from_task import TaskObserved as TaskObserved
from slackbot.core.events.from_task import TaskStarted as TaskStarted
from slackbot.core.events.from_task import TurnClaimed as TurnClaimed
from slackbot.core.events.from_task import TurnEnded as TurnEnded
from slackbot.core.events.from_task import WorkerHeard as WorkerHeard
from slackbot.core.events.from_task import WorkerLeft as WorkerLeft
from slackbot.core.events.from_task import WorkerReady as WorkerReady
