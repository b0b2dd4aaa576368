"""English, the language every other one is measured by. Read by `language.say`.

Short, plain sentences; a text says what happened, why, what to do next. `{fields}` are filled by the views.
"""

from __future__ import annotations

from slackbot.views.language.template import Plural, Template

TEXTS: dict[str, Template] = {
    # ---- small words, used everywhere
    "words.no_reason": "No reason is known.",
    "words.pull_request": "Pull request #{number}",
    "words.sessions": Plural("{number} session", "{number} sessions"),
    "words.live_sessions": Plural("{number} live session", "{number} live sessions"),
    "words.and_more": "… and {number} more",
    "status.starting": "starting",
    "status.running": "running",
    "status.stopped": "stopped",
    "status.error": "ended with an error",
    "time.under_a_second": "under 1 s",
    "time.seconds": "{seconds} s",
    "time.minutes": "{minutes} min",
    "time.minutes_seconds": "{minutes} min {seconds} s",
    "time.hours": "{hours} h",
    "time.hours_minutes": "{hours} h {minutes} min",
    "time.days": "{days} days",
    "time.just_now": "just now",
    "time.minutes_ago": "{minutes} min ago",
    "time.hours_ago": "{hours} h ago",
    "time.days_ago": "{days} days ago",
    # ---- buttons, and what is asked before
    "button.stop": "Stop",
    "button.open_pr": "Open PR",
    "button.view_pr": "View PR #{number}",
    "button.retry": "Retry",
    "button.cancel": "Cancel",
    "button.now": "Now",
    "button.extend": "Extend",
    "button.ask": "Ask DevFlow",
    "button.open_editor": "Open editor",
    "stop.title": "Stop this session?",
    "stop.question": (
        "A prompt is being worked on. It ends now, and what the agent has not finished may be lost."
        "{waiting} What is pushed stays on the branch."
    ),
    "stop.waiting": Plural(" {number} waiting prompt will not be run.", " {number} waiting prompts will not be run."),
    "stop.yes": "Stop it",
    "stop.no": "Let it work",
    "stop.unpushed": Plural(
        "{number} file in its checkout is not pushed yet. The worker saves it on the branch before it ends, as a commit "
        "that says so.",
        "{number} files in its checkout are not pushed yet. The worker saves them on the branch before it ends, as a commit "
        "that says so.",
    ),
    "stop.keep": "Keep it running",
    # ---- the card
    "card.repository": "Repository",
    "card.branch": "Branch",
    "card.owner": "Owner",
    "card.agent": "Agent",
    "card.branch_from": "{branch} from {base}",
    "card.new_branch": "a new one from {base}",
    "card.root_starting": "🟡 *Starting* – if this does not change within a minute, press Retry or reply here.",
    "card.starting": "🟡 *Starting*",
    "card.starting_waiting": Plural(
        "🟡 *Starting* – {number} prompt waiting", "🟡 *Starting* – {number} prompts waiting"
    ),
    "card.working": "🔵 *Working on a prompt* by {user}",
    "card.cancelling": "🔵 *Cancelling a prompt* by {user}",
    "card.waits_for_leave": "🟠 *Waiting for {user}* – the agent asks leave for something, below",
    "card.more_waiting": ", {number} waiting",
    "card.waiting": Plural("🔵 *Running* – {number} prompt waiting", "🔵 *Running* – {number} prompts waiting"),
    "card.ready": "🟢 *Ready for prompts* – reply in this thread to tell the agent what to do.",
    "card.error": "🔴 *Ended with an error*",
    "card.stopped": "⚪ *Stopped*",
    "card.stopped_by_person": "⚪ *Stopped* by {user}",
    "card.stopped_by_idle": "⚪ *Stopped* – It stopped itself after a time without prompts. Reply in this thread to wake it.",
    "card.stopped_by_age": "⚪ *Stopped* – It had run for the longest time allowed. Reply in this thread to go on.",
    "card.stopped_by_shutdown": "⚪ *Stopped* – DevFlow was shut down. Reply in this thread to go on.",
    "card.stopped_by_shared": (
        "⚪ *Stopped* – The channel is shared with another organisation. Reply in this thread when it no longer is."
    ),
    "card.stopped_by_root_deleted": "⚪ *Stopped* – The first message of this thread was deleted.",
    "card.stopped_by_merged": "⚪ *Stopped* – Its pull request is merged. Reply in this thread to go on.",
    "card.stopped_by_failure": "⚪ *Stopped* – Nothing could be posted in this thread any more.",
    "card.retry_runs_it": " – Retry runs the last prompt again.",
    "card.reply_is_kept": " – a reply is kept; Retry then runs it.",
    "card.pull_request_asked": "Pull request: being opened",
    "card.pull_request_state": "{pull_request} ({state})",
    "card.no_commits": "No commits yet",
    # ---- the task
    "task.line": "Task: {doing}",
    "task.line_delayed": "Task: {doing} – {why}",
    "task.branch_first": "making the branch first",
    "task.asked_for": "being asked for",
    "task.status": "Task *{status}*",
    "task.status_meaning": "Task *{status}* – {meaning}",
    "task.PROVISIONING": "finding a machine",
    "task.PENDING": "waiting for the machine to make the container",
    "task.ACTIVATING": "being connected",
    "task.RUNNING": "the worker is up",
    "task.DEACTIVATING": "being disconnected",
    "task.STOPPING": "asked to end",
    "task.DEPROVISIONING": "giving the machine back",
    "task.MISSING": "its system no longer knows it",
    "task.checking_out": "the worker is checking out the repository",
    "task.over": "over",
    "task.session_over": "by DevFlow, as the session is over",
    "task.reason_above": "for the reason above",
    "task.after_error": "by DevFlow, after the error above",
    "task.attempt": "Attempt {number} of {of} – the last one failed: {why}",
    "task.no_reason": "no reason is known.",
    "task.log": "Task log",
    # ---- the progress message
    "progress.working": "🔵 *Working* – {elapsed}",
    "progress.cancelling": "🔵 *Cancelling* – {elapsed}",
    "progress.working_on": "Working on: {prompt}",
    "progress.cancelling_on": "Cancelling on: {prompt}",
    "progress.together": "{head}, {number} messages together",
    "progress.waits": "⏳ {user}: {prompt}",
    "progress.more_wait": "⏳ … and {number} more",
    # ---- the warning before the end
    "warning.idle": "⏳ {user}, this session stops itself at {time}, as nothing is asked of it. A reply keeps it, too.",
    "warning.idle_text": "This session stops itself soon, as nothing is asked of it.",
    "warning.age": (
        "⏳ {user}, this session stops itself at {time}: it has run for the longest time allowed. An administrator can extend it."
    ),
    "warning.age_text": "This session stops itself soon: it has run for the longest time allowed.",
    "warning.soon": "soon",
    # ---- handing over
    "hand_over.question": "Hand the session over to whom?",
    "hand_over.to_whom": "Hand the session on {repository} over to whom?",
    "hand_over.choose": "Choose a person",
    "hand_over.done": "👤 {by} handed this session over to {to}, who may stop it, extend it and hand it on.",
    "hand_over.has_it": "{to} has it now.",
    # ---- who is meant
    "listen.mentions_needed": (
        "👥 Several people speak here now, so only replies that mention DevFlow are prompts; what else is said goes along "
        "as context. `!listen all` makes every reply a prompt again."
    ),
    "listen.all": (
        "👂 Every reply in this thread is a prompt now, as {user} asked for. `!listen mentions` leaves it to those that mention "
        "DevFlow."
    ),
    "listen.mentions": (
        "👂 Only replies that mention DevFlow are prompts now, as {user} asked for; what else is said goes along as context. "
        "`!listen all` makes every reply a prompt again."
    ),
    "listen.overheard": "That was taken as talk between people: the agent sees it with the next prompt. Did you mean the agent?",
    "listen.card": "Only replies that mention DevFlow are prompts here",
    # ---- answers
    "answer.failed": "🔴 *This prompt failed.*",
    "answer.out_of_time": "⚪ *Cancelled:* it took longer than one prompt may.",
    "answer.cancelled_by": "⚪ *Cancelled* by {user}.",
    "answer.no_words": "The agent ended without a word.",
    "answer.in_file": "The whole answer is in the file below.",
    "answer.file_title": "The whole answer",
    "answer.asked_by": "Asked by {user}",
    "answer.together": "answers {number} messages",
    "answer.took": "took {time}",
    "answer.nothing_changed": "nothing changed",
    "answer.some_files": "files changed",
    "answer.files": Plural("{number} file changed", "{number} files changed"),
    "answer.lines": "{files}, +{additions} −{deletions}",
    "answer.commit": "commit {commit}",
    "answer.tokens": "{number} tokens",
    "answer.after_failure": "Retry runs the same prompt again; or reply with another one.",
    "answer.kept": "What was pushed before is on the branch.",
    "answer.after_cancel": "Reply with what to do instead, or press Retry.",
    "answer.lead_failed": "Failed: {text}",
    "answer.lead_cancelled": "Cancelled: {text}",
    # ---- notices
    "notice.stopped": "This session was stopped.",
    "notice.stopped_by": "{user} stopped this session.",
    "notice.stopped_by_idle": "This session stopped itself, as nothing was asked of it for a while.",
    "notice.stopped_by_age": "This session stopped itself: it had run for the longest time allowed.",
    "notice.stopped_by_shutdown": "DevFlow was shut down, and this session with it.",
    "notice.stopped_by_root_deleted": "The first message of this thread was deleted, so this session has been stopped.",
    "notice.frozen": ("This channel is shared with another organisation now, so DevFlow has stopped working in it."),
    "notice.frozen_then": "When it no longer is, a reply in this thread goes on, on the same branch.",
    "notice.thawed": "This channel is the workspace's own again.",
    "notice.wakes": "A reply in this thread starts it again, on the same branch.",
    "notice.keeps": "A reply in this thread is kept, and Retry runs it.",
    "notice.failed": "🔴 *This session ended with an error.*",
    "notice.failed_text": "This session ended with an error: {summary}",
    "notice.pr_opened": "🟢 {pull_request} is open. What the agent pushes from now on becomes part of it.",
    "notice.pr_opened_for": (
        "🟢 {pull_request} is open, asked for by {user}. What the agent pushes from now on becomes part of it."
    ),
    "notice.pr_opened_text": "Pull request #{number} is open.",
    "notice.pr_shown": "{pull_request} is open already, and holds what was pushed since.",
    "notice.pr_shown_text": "Pull request #{number} is open already.",
    "notice.pr_refused": "🔴 *No pull request was opened.*",
    "notice.pr_refused_text": "No pull request was opened: {summary}",
    "notice.unknown": (
        "Something happened to this session that this version of DevFlow has no words for. The card shows its state."
    ),
    "notice.working_ended": "The prompt in work ended with it; part of it may be done.",
    "notice.waiting_ended": Plural("{number} waiting prompt was not run.", "{number} waiting prompts were not run."),
    "notice.pushed": "What was pushed is on {branch}.",
    "notice.no_branch": "Nothing was pushed, so no branch is left.",
    "notice.nothing_pushed": "Nothing was pushed to {branch}; a branch that stays empty is removed.",
    # ---- the pull request's card
    "pr.open": "🟢 {pull_request} is open",
    "pr.draft": "⚫ {pull_request} is a draft",
    "pr.merged": "🟣 {pull_request} is merged",
    "pr.merged_by": "🟣 {pull_request} is merged by {by}",
    "pr.closed": "⚪ {pull_request} is closed",
    "pr.other_state": "⚪ {pull_request}: {state}",
    "pr.titled": "{head} – *{title}*",
    "pr.changes_asked": "🔴 Changes asked for by {people}",
    "pr.approved": "🟢 Approved by {people}",
    "pr.review_required": "🟡 A review is required",
    "pr.threads_open": Plural("🟡 {number} review thread is open", "🟡 {number} review threads are open"),
    "pr.people_more": "{people} and {number} more",
    "pr.checks": "{dot} Checks: {parts}",
    "pr.checks_failing": "{number} failing: {names}",
    "pr.checks_failing_more": "{number} failing: {names} and {more} more",
    "pr.checks_running": "{number} running",
    "pr.checks_passed": "{number} passed",
    "pr.conflicts": "🔴 It conflicts with {base}",
    "pr.no_conflicts": "🟢 No conflicts with {base}",
    "pr.reviewers_refused": "⚠️ GitHub did not take as reviewers: {people}",
    "pr.unwatched": "⚪ It is not watched any more; `!pr` looks at it again",
    "pr.files": Plural("{number} file, +{additions} −{deletions}", "{number} files, +{additions} −{deletions}"),
    "pr.into": "into {base}",
    "pr.prompted_by": "prompted by {people}",
    "pr.asked_by": "asked for by {user}",
    "pr.branch_deleted": "its branch is deleted",
    "pr.doing_fix_checks": "The agent is to fix the checks, asked by {by}",
    "pr.doing_address_review": "The agent is to address the review, asked by {by}",
    "pr.doing_resolve_conflicts": "The agent is to resolve the conflicts, asked by {by}",
    "pr.doing_ready": "It is being made ready for review, as {by} asked",
    "pr.doing_merge": "It is being merged, as {by} asked",
    "pr.doing_delete_branch": "Its branch is being deleted, as {by} asked",
    "pr.by_settings": "the settings",
    "pr.button_fix_checks": "Fix checks",
    "pr.button_address_review": "Address review",
    "pr.button_resolve_conflicts": "Resolve conflicts",
    "pr.button_ready": "Ready for review",
    "pr.button_merge": "Merge…",
    "pr.button_delete_branch": "Delete branch",
    "pr.delete_title": "Delete the branch?",
    "pr.delete_question": (
        "{branch} goes from GitHub. What is merged stays, and GitHub can restore the branch for a while."
    ),
    "pr.delete_yes": "Delete it",
    "pr.delete_no": "Keep it",
    # ---- news of the pull request
    "pr_news.checks_failed": "🔴 Checks of {pull_request} failed: {names}.",
    "pr_news.checks_failed_more": "🔴 Checks of {pull_request} failed: {names} and {more} more.",
    "pr_news.checks_failed_then": "*Fix checks* on the pull request's card gives them to the agent.",
    "pr_news.changes_asked": "🔴 {people} asks for changes to {pull_request}.",
    "pr_news.changes_asked_then": "*Address review* on the pull request's card gives them to the agent.",
    "pr_news.approved": "🟢 {people} approved {pull_request}.",
    "pr_news.review_link": "The review",
    "pr_news.quote": "“{words}”",
    "pr_news.conflict": "🔴 {pull_request} conflicts with {base}.",
    "pr_news.conflict_then": "*Resolve conflicts* on the pull request's card gives it to the agent.",
    "pr_news.merged": "🟣 {pull_request} is merged.",
    "pr_news.merged_by": "🟣 {pull_request} is merged by {by}.",
    "pr_news.session_ends": "The session ends in a minute, unless somebody goes on with it; a reply wakes it.",
    "pr_news.session_over": "The session is over; a reply in this thread goes on with it.",
    "pr_news.closed": "⚪ {pull_request} was closed without being merged.",
    "pr_news.unwatched_quiet": (
        "⚪ {pull_request} is not watched any more: nothing has moved in it for 14 days. `!pr` looks at it again."
    ),
    "pr_news.unwatched_gone": (
        "⚪ {pull_request} is not watched any more: GitHub does not show it to DevFlow. `!pr` looks for it again."
    ),
    "pr_news.not_done": "🔴 *{what}.*",
    "pr_news.not_fix_checks": "The agent was not asked to fix the checks",
    "pr_news.not_address_review": "The agent was not asked to address the review",
    "pr_news.not_resolve_conflicts": "The agent was not asked to resolve the conflicts",
    "pr_news.not_ready": "The pull request is still a draft",
    "pr_news.not_merge": "The pull request was not merged",
    "pr_news.not_delete_branch": "The branch was not deleted",
    "pr_news.not_that": "That was not done",
    # ---- the forms of the pull request
    "pr_form.open_head": "Open pull request",
    "pr_form.open_submit": "Open",
    "pr_form.cancel": "Cancel",
    "pr_form.title": "Title",
    "pr_form.body": "Description",
    "pr_form.body_hint": "A link to this thread is added.",
    "pr_form.base": "Into branch",
    "pr_form.reviewers": "Reviewers",
    "pr_form.kind": "As",
    "pr_form.kind_ready": "Ready for review",
    "pr_form.kind_draft": "A draft",
    "pr_form.no_title": "A pull request needs a title.",
    "pr_form.no_such_person": "That is not the name of an account on GitHub.",
    "pr_form.no_such_branch": "It cannot go into this branch: there is none of that name, or it is the session's own.",
    "pr_form.merge_head": "Merge pull request",
    "pr_form.merge_submit": "Merge",
    "pr_form.merge_what": "{pull_request} is merged into {base} on GitHub, as it was last seen.",
    "pr_form.method": "How",
    "pr_form.method_merge": "Merge commit",
    "pr_form.method_squash": "Squash and merge",
    "pr_form.method_rebase": "Rebase and merge",
    # ---- answers to commands
    "help.text": "How to use {command}",
    "help.head": "*DevFlow* turns a thread into a development session: one branch, one worker with an agent, one thread.",
    "help.line": "• `{command} {words}` – {meaning}",
    "help.start": "begin a session; `base=BRANCH`, `agent=NAME`, `model=NAME` and `mode=NAME` go before the prompt",
    "help.list": "your sessions",
    "help.status": "how a session is doing",
    "help.stop": "end a session; what is pushed stays",
    "help.cancel": "end the prompt in work; the session goes on",
    "help.pr": "open the pull request",
    "help.handover": "give a session to somebody else (in its thread: `!handover @name`)",
    "help.extend": "let a session that would soon stop itself stay longer",
    "help.retry": "run the last failed or kept prompt again",
    "help.forget": "take a session that is over out of DevFlow's memory",
    "help.help": "this page",
    "help.ways": (
        "`/devflow` alone opens a form. Mention @DevFlow with a prompt in a channel or a thread, send it a direct message, "
        "or use *Work on this* on a message: each begins a session there. The repository may be left out."
    ),
    "help.thread": (
        "*In a session's thread* every reply goes to the agent as a prompt; once several people speak there, "
        "those that mention DevFlow do (`!listen all` and `!listen mentions` change it). "
        "`!stop`, `!cancel`, `!pr`, `!status`, `!retry` and `!help` do the same as the commands. "
        "A reply that begins with `!aside` or by naming a person is for people; the agent sees it with the next "
        "prompt, as context."
    ),
    "help.over": (
        "A reply to a session that stopped by itself wakes it. A reply to one that somebody stopped, or that ended "
        "with an error, is kept: Retry runs it."
    ),
    "help.examples": "*For example*\n{examples}",
    "help.example_start": "start acme/shop fix the flaky checkout test",
    "help.example_base": "start acme/shop base=release-2 say in the README how to run the tests",
    "help.example_stop": "stop 1a2b3c4d",
    "list.none": "You have no sessions. `/devflow start owner/repo what to do` begins one.",
    "list.more": "More",
    "list.text": "Your sessions: {number} on this page.",
    "list.thread": "thread",
    "status.working_on": "Working on a prompt by {user}",
    "status.not_working": "No prompt in work",
    "status.head": "{id} *{status}* – {repository}, begun {age} by {user}",
    "status.branch": "Branch {branch} from {base}",
    "status.no_task": "No task",
    "status.no_pull_request": "No pull request",
    "status.thread": "Its thread",
    "status.text": "Session {id}: {status}",
    "choose.head": "You have {sessions}:",
    "choose.more": "• … and {number} more: `/devflow list`",
    "choose.tail": "Name one: {example}",
    "choose.text": "{head} name one, as in {example}",
    "none.named": "You have no session that {which} names. `/devflow list` shows those you have.",
    "none.for_verb": (
        "You have no session to use {verb} on. "
        "`/devflow list` shows your sessions; `/devflow start owner/repo what to do` begins one."
    ),
    "gone.session": (
        "This session is no longer known: a session is forgotten 24 hours after something last happened in it. "
        "Its branch and its pull request are untouched; `/devflow start` begins a new one."
    ),
    # ---- forget
    "forget.title": "Forget this session?",
    "forget.question": (
        "Session `{id}` on {repository} would be removed from DevFlow's table, with {turns}. Nobody can bring it back."
    ),
    "forget.turns": Plural("{number} prompt and its answer", "{number} prompts and their answers"),
    "forget.really": "Its prompts and answers are removed from DevFlow's table. What stands in Slack and on GitHub stays.",
    "forget.yes": "Forget it",
    "forget.no": "Keep it",
    "forget.button": "Forget it",
    "forget.first_stop": (
        "This session is live, so it is not forgotten. Stop it first (`/devflow stop`, or `!stop` in its thread)."
    ),
    "forget.done": "Session `{id}` is forgotten: it is no longer in DevFlow's table.",
    "forget.card": "⚪ This session was forgotten on the wish of {user}. What is said in this thread begins nothing any more.",
    "forget.remains": "What remains elsewhere:",
    "forget.thread": "this thread, as long as Slack keeps it, with every file in it",
    "forget.branch": "the branch {branch}, with what was pushed",
    "forget.logs": "the logs and the audit log, as long as your administrator keeps them.",
    # ---- accepted
    "accepted.stop": "Stopping…",
    "accepted.pr": "Opening the pull request…",
    "accepted.pr_open": "{pull_request} is open already.",
    "accepted.cancel": "Cancelling…",
    "accepted.extend": "It stays longer.",
    "accepted.retry": "Retrying…",
    "accepted.other": "It will be done…",
    "start.slowly": (
        "Starting takes longer than usual. If no thread appears in this channel within a minute, nothing was started: "
        "send the command again."
    ),
    "start.prompt_file": "The whole prompt",
    # ---- starting: the question, the preview, the form
    "start.started_on": "Started on {repository}: {why}.",
    "start.why_named": "your prompt names it",
    "start.why_last": "you worked on it last in this channel",
    "start.why_chosen": "as you chose",
    "start.why_only": "it is the only one",
    "start.another_repository": "Another repository…",
    "start.which": "Which repository is this for?",
    "start.which_of_all": "Which repository is this for? Choose it in the form.",
    "start.on": "{repository}",
    "start.other": "Another one…",
    "start.not_now": "Not now",
    "start.before": Plural(
        "Nothing has begun yet. {number} earlier message of this thread would go along:",
        "Nothing has begun yet. {number} earlier messages of this thread would go along:",
    ),
    "start.untrusted": "The agent gets them as conversation, marked as untrusted: it is told not to follow them.",
    "start.go": "Start",
    "start.without": "Start without them",
    "start.change": "Change…",
    "start.what": (
        "What shall be done? Write it behind the mention, as in `@DevFlow fix the flaky checkout test`, "
        "or fill in the form."
    ),
    "start.open_form": "Open the form",
    "start.has_session": (
        "There is a session in this thread already. Mention @DevFlow in it to tell it what to do next."
    ),
    "form.title": "New session",
    "form.submit": "Start",
    "form.close": "Cancel",
    "form.channel": "Where",
    "form.repository": "Repository",
    "form.repository_hint": "Type a part of its name",
    "form.prompt": "What shall be done?",
    "form.prompt_hint": "Fix the flaky checkout test",
    "form.base": "Base branch",
    "form.base_hint": "The repository's default branch",
    "form.agent": "Agent",
    "form.agent_hint": "The usual one",
    "form.with_thread": "The earlier messages of the thread go along, marked as untrusted.",
    "form.with_message": (
        "The message is longer than this form takes. Here is its beginning; the whole of it goes along."
    ),
    "form.replaces": "The session that was begun for this prompt is stopped when this one starts.",
    "form.slow": "This takes longer than usual. Press Start again in a moment: it is not started twice.",
    "form.no_repository": "Choose a repository.",
    "form.no_prompt": "Say what shall be done.",
    "form.no_channel": "Choose where the session shall live.",
    # ---- Home
    "home.yours": "Your sessions",
    "home.new": "New session",
    "home.none": (
        "You have no sessions. Press *New session*, write `/devflow` in a channel, mention @DevFlow in a thread, "
        "or send it a direct message."
    ),
    "home.none_older": "There are no older ones.",
    "home.recent": "Recent",
    "home.older": "Older ones",
    "home.newest": "Back to the newest",
    "home.everybody": "Everybody's live sessions",
    "home.nobody": "Nobody else has a live session.",
    "home.thread": "Open thread",
    "home.working": "working",
    "home.ready": "ready for prompts",
    "home.foot": "Sessions are kept for 24 hours after something last happened in them. A reply in a thread brings "
    "an older one back, with its branch and its pull request.",
    # ---- what did not work
    "error.empty": "That did not work.",
    "error.reference": "Reference {reference} in DevFlow's log",
    "error.unknown": (
        "Something went wrong on DevFlow's side; it was not what you did. Try again in a moment. "
        "If it stays like this, give the reference {reference} to who runs DevFlow: it stands in the log."
    ),
    "error.unknown_text": "Something went wrong on DevFlow's side. Reference: {reference}",
    "over.now": "{happened}, so nothing waits in it.",
    "over.already": "This session is over already",
    "over.already_status": "This session has already {status}",
    "over.stopped_by": "This session was stopped already, by {user}",
    "over.stopped_itself": "This session has already stopped itself",
    "over.stop": "{happened}, so there is nothing to stop.",
    "over.cancel": "{happened}, so nothing is being worked on.",
    "over.retry": "{happened}, and cannot be started again just now.",
    "over.extend": "{happened}, so there is nothing to extend.",
    "over.pr": "{happened}, and no pull request can be opened just now.",
    "over.prompt": "{happened}, so the prompt was not taken.",
    "over.other": "{happened}, so that was not done.",
    "over.try_again": "Try again in a moment.",
    "over.reply_wakes": "A reply in its thread starts it again.",
    "over.retry_runs": "Retry in its thread runs the last prompt again.",
    # ---- spending
    "spending.turn": "this prompt",
    "spending.session": "this session",
    "spending.person": "this person in this month",
    "spending.month": "everybody in this month",
    "spending.tokens": "{number} tokens",
    "spending.near": "More than 80 % of what models may cost for {scope} is used: {used} of {limit}. An administrator can extend it.",
    "spending.reached": "What models may cost for {scope} is used up: {used} of {limit}. The agent gets no further answers until an administrator extends it.",
    "spending.extended": "{user} granted the limit for {scope} once more.",
    "spending.extended_text": "A limit was extended.",
    # ---- the web editor
    "editor.link": "This link opens the editor of {repository}. It is for you alone, works once and for a minute.",
    "editor.text": "A link to the editor",
}
