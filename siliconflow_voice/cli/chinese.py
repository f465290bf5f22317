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
}
