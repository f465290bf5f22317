"""A real proxy with a limit of its own: it answers 429 with a page of HTML, and no word of when to return."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.hurried_time import hurried_time
from support.recordings import SPEECH, TEXT
from yarl import URL

from siliconflow_voice import Throttle, VoiceClient
from siliconflow_voice.emulator import Emulator

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr emerg;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    client_max_body_size 10m;
    limit_req_zone $binary_remote_addr zone=uploads:1m rate=20r/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            limit_req zone=uploads burst=5 nodelay; limit_req_status 429;
            proxy_pass http://{backend}; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, port: int, backend: URL) -> AsyncIterator[str]:
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, port=port, backend=f"{backend.host}:{backend.port}")
    )
    process = await asyncio.create_subprocess_exec(str(NGINX), "-p", str(folder), "-c", str(configuration))
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0)
                else:
                    writer.close()
                    break
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@hurried_time
@pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light")
async def test_the_limit_of_a_proxy_is_learned_like_any_other(tmp_path: Path, unused_tcp_port: int) -> None:
    uploads, refused = 40, 0
    async with Emulator() as emulator:
        async with nginx(tmp_path, unused_tcp_port, URL(emulator.base_url)) as base_url:
            throttle = Throttle(max_concurrency=32)
            async with VoiceClient("sk-test", base_url=base_url, throttle=throttle) as client:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(
                            client.upload_voice(
                                SPEECH, custom_name=f"v{number}", text=TEXT, on_ambiguous="raise"
                            )
                        )
                        for number in range(uploads)
                    ]
        refused = sum(len(task.result().attempts) - 1 for task in tasks)
        assert len(emulator.voices) == uploads
    assert 0 < refused < 0.4 * uploads, refused
