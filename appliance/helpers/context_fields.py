"""The helpers that answer what the hook's context in this process's memory holds, by the field that each one reads.

Whoever runs the hook fills them in (hooks/contracts/task.py, hooks/contracts/sock_ops.py).
"""

from __future__ import annotations

FACTS: dict[str, str] = {
    "get_current_uid_gid": "uid_gid",
    "get_current_logon_id": "logon_id",
    "is_current_admin": "is_admin",
    "get_current_process_start_key": "process_start_key",
    "get_current_thread_create_time": "thread_create_time",
    "get_socket_cookie": "socket_cookie",
    "get_netns_cookie": "netns_cookie",
    "get_flow_id": "flow_id",
    "get_retval": "retval",
}
