"""The command's messages in Chinese, by their English."""

from __future__ import annotations

__all__ = ["MESSAGES"]

MESSAGES = {
    # Voices.
    "Uploading {file}": "正在上传 {file}",
    "All was sent, and the voice may have been stored.": "数据已全部发出，音色可能已经存在。",
    "Look for it before you upload it again: {command}": "再次上传之前请先查找：{command}",
    "The answer was lost; the voice was found in the account's list.": (
        "应答丢失，已在账号的音色列表里找到该音色。"
    ),
    "Listing voices": "正在列出音色",
    "{count:,} voice": "{count:,} 个音色",
    "{count:,} voices": "{count:,} 个音色",
    "name": "名称",
    "model": "模型",
    "text": "文本",
    "{uri} is not the uri of a voice, which begins with speech:; find it with: siliconflow-voice list": (
        "{uri} 不是音色的 uri（以 speech: 开头）；请用 siliconflow-voice list 查找。"
    ),
    "Nothing was deleted.": "没有删除任何音色。",
    "Deleting {uri}": "正在删除 {uri}",
    "Deleted {uri}": "已删除 {uri}",
    "Nothing was deleted, since there is no terminal to ask in: pass --yes to delete": (
        "没有终端可供确认，因此没有删除；要删除请加 --yes。"
    ),
    "Delete this voice for good? [y/N] ": "永久删除这个音色？[y/N] ",
    "Delete these {count:,} voices for good? [y/N] ": "永久删除这 {count:,} 个音色？[y/N] ",
    # Speech and transcripts.
    "Speaking": "正在合成",
    "Transcribing {file}": "正在转写 {file}",
    "Listing models": "正在列出模型",
    "{value} is an option, not a file": "{value} 是选项，不是文件",
    "{file}: nothing was heard": "{file}：没有听到内容",
    "duration not known": "时长未知",
    "{file}: {format}, {size}, {lasts}; first bytes after {wait:.2f} s": (
        "{file}：{format}，{size}，{lasts}；首字节 {wait:.2f} 秒"
    ),
    "Pass a --reference-text for each --reference, with the words that are spoken in it": (
        "每个 --reference 都要有一个 --reference-text，写明录音里说的话。"
    ),
    "Pass the voice to speak with: either --voice, or --reference; to find voices, run: "
    "siliconflow-voice list": (
        "请用 --voice 或 --reference（二选一）指定声音；要查看音色，请运行 siliconflow-voice list。"
    ),
    "--output {file} does not end with a format that can be spoken; end it with one of {supported}, or pass "
    "--format": "--output {file} 的扩展名不是可合成的格式；请改为 {supported} 之一，或加 --format。",
    "--json is about a file, and standard output has the audio: pass --output FILE": (
        "--json 描述的是文件，而标准输出要写音频：请加 --output FILE。"
    ),
    "A terminal can't play audio: pass --output FILE, or pipe it into a player": (
        "终端不能播放音频：请加 --output FILE，或用管道交给播放器。"
    ),
    "--output {file} can't be written: {reason}": "无法写入 --output {file}：{reason}。",
    # A bulk run.
    "Checking all rows and recordings …": "正在检查所有行和录音 …",
    "{count:,} row, {problems}. Nothing was sent.": "{count:,} 行，{problems}。没有发送任何数据。",
    "{count:,} rows, {problems}. Nothing was sent.": "{count:,} 行，{problems}。没有发送任何数据。",
    "{count:,} problem": "{count:,} 个问题",
    "{count:,} problems": "{count:,} 个问题",
    "no problems": "没有问题",
    "{size} of audio, {lasting}; {body} to send.": "音频 {size}，时长 {lasting}；需发送 {body}。",
    "unmeasured": "未知",
    "{time} and {count:,} unmeasured": "{time}，另有 {count:,} 个未知",
    "To estimate how long the upload takes, pass --requests-per-minute.": (
        "要估计上传所需时间，请加 --requests-per-minute。"
    ),
    "At {rate:,} requests a minute, the upload takes {time}.": "每分钟 {rate:,} 次请求，上传需要 {time}。",
    "line {line} ": "第 {line} 行 ",
    "Further failures are not shown; {file} will have all.": "其余失败不再显示；{file} 里有全部。",
    "{done:,} of {total:,} done": "已完成 {done:,}/{total:,}",
    "{count:,} failed": "{count:,} 行失败",
    "{done:,} of {total:,}  {share}%": "{done:,}/{total:,}  {share}%",
    "about {time} left": "约剩 {time}",
    "{time} elapsed": "已用 {time}",
    "waiting {seconds:.0f} s for the uploads of the last run": "等待 {seconds:.0f} 秒，再查找上次运行的上传",
    "checking the recordings, the journal and the account": "正在检查录音、日志和账号",
    "{count} in flight": "{count} 个进行中",
    "{rate:.1f} uploads/s": "每秒 {rate:.1f} 个",
    "limit {limit:,.0f} requests/min": "限额每分钟 {limit:,.0f} 次请求",
    "limit {limit:,.0f} tokens/min": "限额每分钟 {limit:,.0f} 个 token",
    "{count} waiting for quota (next in {seconds:.0f} s)": "{count} 个在等限额（{seconds:.0f} 秒后放行）",
    "{count} queued": "{count} 个排队",
    "1 upload": "1 次上传",
    "{count:,} uploads": "{count:,} 次上传",
    "Waiting {seconds:.0f} s (--settle) before looking for {uploads} whose result the last run did not "
    "learn.": "等待 {seconds:.0f} 秒（--settle），再查找上次运行没有得知结果的 {uploads}。",
    "uploaded": "已上传",
    "recovered": "已找回",
    "skipped": "已跳过",
    "failed": "失败",
    "left": "未处理",
    "recovered (the answer was lost; the voice was found in the account's list)": (
        "已找回（应答丢失，在账号的音色列表里找到）"
    ),
    "skipped (the journal has the voice)": "已跳过（日志里已有该音色）",
    "attempts": "次尝试",
    "attempts: {attempts}": "次尝试：{attempts}",
    "accepted": "次成功",
    "rate limited (429)": "次被限流（429）",
    "overloaded (503)": "次过载（503）",
    "no answer": "次没有应答",
    "other error": "次其他错误",
    "elapsed, {size} of audio uploaded": "用时，已上传音频 {size}",
    "To retry failed rows, correct this manifest and run it {how}: {file}": (
        "要重试失败的行，请改好这个清单再运行（{how}）：{file}"
    ),
    "with the same options": "选项不变",
    ", but no --manifest-encoding": "，但不加 --manifest-encoding",
    ", and --journal {file}": "，并加 --journal {file}",
    ", and --root {file}": "，并加 --root {file}",
    "Stopped early: {reason}": "提前停止：{reason}",
    "To continue from here, run the same command again.": "要接着做，请再次运行同一条命令。",
    "Journal: {file}": "日志：{file}",
    "interrupted by {signal}": "被 {signal} 中断",
    # Files and the key.
    "the manifest": "清单",
    "the .part file of {option}": "{option} 的 .part 文件",
    "{first} and {second} are the same file, {file}; choose different ones": (
        "{first} 和 {second} 是同一个文件 {file}；请分开指定。"
    ),
    "{option} {file} can't be written: {reason}": "无法写入 {option} {file}：{reason}。",
    "{file} can't be written: {reason}": "无法写入 {file}：{reason}。",
    "--api-key-file {file} is empty; put the API key into it, and nothing else": (
        "--api-key-file {file} 是空的；请把 API 密钥写进去，不要有别的内容。"
    ),
    "--api-key-file {file} can't be read: {reason}": "无法读取 --api-key-file {file}：{reason}。",
    "--api-key-file {file} is larger than {most:,} bytes; pass a file that holds only the key": (
        "--api-key-file {file} 超过 {most:,} 字节；请给出只含密钥的文件。"
    ),
    "--api-key-file {file} can't be read: it is not a text file": (
        "无法读取 --api-key-file {file}：它不是文本文件。"
    ),
    "No API key: set SILICONFLOW_API_KEY, or pass --api-key-file": (
        "没有 API 密钥：请设置 SILICONFLOW_API_KEY，或加 --api-key-file。"
    ),
    "SiliconFlow API key: ": "SiliconFlow API 密钥：",
    # Recordings and the journal.
    "Refused: {reason}": "会被拒绝：{reason}",
    "not recognised": "无法识别",
    "{count:,} uploads are in {file}": "已把 {count:,} 次上传写入 {file}",
    "Pass either --uri, for the voice that it has, or --absent": (
        "请用 --uri（它对应的音色）或 --absent，二选一。"
    ),
    "There is no journal {file}: pass the file that a run wrote": "没有日志 {file}：请给出批量上传写的文件。",
    "Recorded": "已记录",
    "The journal has no such upload; nothing was changed": "日志里没有这次上传；没有改动",
    # Texts.
    "Pass the words that are spoken, with either --text or --text-file": (
        "请用 --text 或 --text-file（二选一）给出录音里说的话。"
    ),
    "Standard input can't be read: {reason}": "无法读取标准输入：{reason}。",
    "--text-file {file} can't be read: {reason}": "无法读取 --text-file {file}：{reason}。",
    "--text-file {file} is larger than 1 MB; pass a file of text": (
        "--text-file {file} 超过 1 MB；请给出文本文件。"
    ),
    "--text-file {file} is not UTF-8 text; save it as UTF-8": (
        "--text-file {file} 不是 UTF-8 文本；请另存为 UTF-8。"
    ),
    # The command itself.
    "interrupted": "已中断",
    "For usage, run: {usage}": "用法请见：{usage}",
    "This is a bug ({error}); run the command again with --debug, and report what it prints at {address}": (
        "这是程序缺陷（{error}）；请加 --debug 再运行一次，并把输出报告到 {address}"
    ),
    "Installed {file}; start a new shell to use it": "已安装 {file}；新开一个 shell 即可使用",
    "The script can't be installed: {reason}": "无法安装脚本：{reason}。",
    # Calls and their errors.
    "Waiting {seconds:.0f} s: {reason}": "等待 {seconds:.0f} 秒：{reason}",
    "Gave up after {count} attempts.": "尝试 {count} 次后放弃。",
    "To see the account's voices, run: siliconflow-voice list": "查看账号音色，请运行 siliconflow-voice list",
    "Pass a path, bytes or a seekable file: these can be sent again after a failure.": (
        "请传入路径、bytes 或可定位的文件：失败后可以重发。"
    ),
    "Keys of api.siliconflow.cn and api.siliconflow.com are not interchangeable: check that --base-url is "
    "the cloud that issued the key.": (
        "api.siliconflow.cn 与 api.siliconflow.com 的密钥不通用：请确认 --base-url 是签发该密钥的站点。"
    ),
    "Check on SiliconFlow's console what the account may use.": "请在 SiliconFlow 控制台查看账号的权限。",
    "Top up the account.": "请给账号充值。",
    "Complete real-name verification on SiliconFlow's console.": "请在 SiliconFlow 控制台完成实名认证。",
    "Check --base-url: it ends in /v1.": "请检查 --base-url：它以 /v1 结尾。",
    "Upload a smaller recording.": "请上传更小的录音。",
    "A daily quota is used up: try again tomorrow, or ask SiliconFlow to raise it.": (
        "当日额度已用完：请明天再试，或联系 SiliconFlow 提高额度。"
    ),
    "Check --base-url; redirects are never followed.": "请检查 --base-url；重定向一律不跟随。",
    "Check that the database runs, and that it can be reached from here.": (
        "请确认数据库在运行，并且从这里可以连接。"
    ),
}
