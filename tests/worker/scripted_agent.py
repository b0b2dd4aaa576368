"""An ACP agent for tests, on the standard library alone: it runs each prompt as Python code.

In the code: say(text), update({...}), ask([...]) -> outcome, call(title, status), wait_for_cancel(),
wait_until_there(path), plan(...).
Arguments: what it does instead of starting well (`exit3`, `mute`, `auth`, `old`).
"""

import json
import os
import sys
import time

MODES = ["default", "plan", "bypassPermissions", "acceptEdits"]
how = sys.argv[1] if len(sys.argv) > 1 else ""
session_id = "session-1"
cancelled = False
next_id = 1000
modes_set = []


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def receive():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def update(content):
    send({"method": "session/update", "params": {"sessionId": session_id, "update": content}})


def say(text):
    update({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})


def wait_until_there(path):
    while not os.path.exists(path):
        time.sleep(0.01)


def call(title, status="in_progress", call_id="call-1"):
    update({"sessionUpdate": "tool_call_update", "toolCallId": call_id, "title": title, "status": status})


def ask(options):
    global next_id
    next_id += 1
    tool_call = {"toolCallId": "call-9", "title": "Delete everything"}
    send(
        {
            "id": next_id,
            "method": "session/request_permission",
            "params": {
                "sessionId": session_id,
                "toolCall": tool_call,
                "options": [{"optionId": o, "kind": k, "name": o} for o, k in options],
            },
        }
    )
    while True:
        message = receive()
        if message.get("id") == next_id and "method" not in message:
            return message["result"]["outcome"]


def wait_for_cancel():
    global cancelled
    while True:
        if receive().get("method") == "session/cancel":
            cancelled = True
            return


def prompt(message):
    global cancelled
    cancelled = False
    blocks = [block["text"] for block in message["params"]["prompt"]]
    names = {
        "say": say,
        "update": update,
        "ask": ask,
        "call": call,
        "wait_for_cancel": wait_for_cancel,
        "wait_until_there": wait_until_there,
        "blocks": blocks,
        "modes_set": modes_set,
        "os": os,
        "sys": sys,
        "time": time,
    }
    exec(blocks[-1], names)
    send(
        {
            "id": message["id"],
            "result": {
                "stopReason": names.get("stop", "cancelled" if cancelled else "end_turn"),
                "usage": {"totalTokens": 5, "inputTokens": 3, "outputTokens": 2},
            },
        }
    )


while True:
    message = receive()
    method = message.get("method")
    if method == "initialize":
        if how == "exit3":
            sys.stderr.write("Traceback of the agent\nno model key found\n")
            sys.exit(3)
        if how == "mute":
            time.sleep(600)
        send({"id": message["id"], "result": {"protocolVersion": 7 if how == "old" else 1, "agentCapabilities": {}}})
    elif method == "session/new":
        if how == "auth":
            send({"id": message["id"], "error": {"code": -32000, "message": "Authentication required"}})
            continue
        modes = {"currentModeId": "default", "availableModes": [{"id": m, "name": m} for m in MODES]}
        send({"id": message["id"], "result": {"sessionId": session_id, "modes": modes}})
    elif method == "session/set_mode":
        if message["params"]["modeId"] == "bypassPermissions":
            send({"id": message["id"], "error": {"code": -32603, "message": "Internal error"}})
        else:
            modes_set.append(message["params"]["modeId"])
            send({"id": message["id"], "result": {}})
    elif method == "session/prompt":
        prompt(message)
