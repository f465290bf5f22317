"""The pages of ``--help`` in Chinese, by their English: a paragraph, or what an option does."""

from __future__ import annotations

__all__ = ["HELP"]

HELP = {
    # Headings.
    "Commands": "命令",
    "Arguments": "参数",
    "Options": "选项",
    "Parameters": "选项",
    "Files": "文件",
    "Manifest": "清单",
    "Limits": "速度",
    "Connection": "连接",
    "For example:": "例如：",
    "Addresses": "网址",
    # The command itself.
    "Upload reference voices to SiliconFlow, and use them.": (
        "把参考音频上传到 SiliconFlow（硅基流动），并使用这些音色。"
    ),
    "With --debug, any command shows an error's traceback. Messages are in Chinese where the locale is, or "
    "SILICONFLOW_VOICE_LANG is zh.": (
        "任何命令加 --debug 都会显示错误的回溯。系统语言是中文，或者 SILICONFLOW_VOICE_LANG 为 zh 时，"
        "消息用中文；设为 en 则用英文。"
    ),
    "Show this help and exit.": "显示帮助并退出。",
    "Show the version and exit.": "显示版本并退出。",
    # Connection.
    "Read the API key from this file, which holds only that (default: SILICONFLOW_API_KEY or a prompt).": (
        "从这个文件读取 API 密钥，文件里只能有密钥（默认：SILICONFLOW_API_KEY，或当场询问）。"
    ),
    "Address of the API (default: SILICONFLOW_BASE_URL, or https://api.siliconflow.cn/v1).": (
        "API 的地址（默认：SILICONFLOW_BASE_URL，或 https://api.siliconflow.cn/v1）。"
    ),
    "Address of an HTTP proxy, such as http://proxy.example:3128 (default: none).": (
        "HTTP 代理的地址，如 http://proxy.example:3128（默认：无）。"
    ),
    "Use the proxy that HTTPS_PROXY and NO_PROXY name; a password is safer there (default: off).": (
        "使用 HTTPS_PROXY 和 NO_PROXY 指定的代理；密码放在那里更安全（默认：关）。"
    ),
    # Output for programs.
    "Print one JSON object, for programs (default: off).": "输出一个 JSON 对象，供程序读取（默认：关）。",
    "Print one JSON object per voice, for programs (default: off).": (
        "每个音色输出一个 JSON 对象，供程序读取（默认：关）。"
    ),
    "Print one JSON object per recording, for programs (default: off).": (
        "每个录音输出一个 JSON 对象，供程序读取（默认：关）。"
    ),
    "Print one JSON object per model, for programs (default: off).": (
        "每个模型输出一个 JSON 对象，供程序读取（默认：关）。"
    ),
    "Print one JSON object per upload, for programs (default: off).": (
        "每次上传输出一个 JSON 对象，供程序读取（默认：关）。"
    ),
    "Print one JSON object about the file, for programs (default: off).": (
        "输出一个描述该文件的 JSON 对象，供程序读取（默认：关）。"
    ),
    "Print one JSON object per outcome and one at the end, for programs (default: off).": (
        "每个结果输出一个 JSON 对象，最后再输出一个，供程序读取（默认：关）。"
    ),
    # upload
    "Upload a recording, and print the uri of the voice made from it.": (
        "上传一个录音，输出由它生成的音色的 uri。"
    ),
    "If the answer is lost, the voice is looked for in the account's list before anything is sent again.": (
        "如果应答丢失，会先在账号的音色列表里查找，再决定是否重发。"
    ),
    "Exit status: 0 uploaded; 2 invalid usage, or a recording that would be refused: nothing was sent; 3 it "
    "failed.": "退出状态：0 已上传；2 用法有误，或录音会被拒绝，什么都没有发送；3 失败。",
    "The recording: mp3, wav, opus or pcm; under 30 s, ideally 8 to 10 s.": (
        "录音：mp3、wav、opus 或 pcm；短于 30 秒，8 到 10 秒最好。"
    ),
    "The voice's name: letters, digits, `_` and `-`, at most 64.": (
        "音色的名称：字母、数字、`_` 和 `-`，最多 64 个字符。"
    ),
    "What is spoken in the recording, word for word.": "录音里说的话，要逐字一致。",
    "Read the text from this file, in UTF-8, or with - from standard input.": (
        "从这个 UTF-8 文件读取文本；- 表示标准输入。"
    ),
    "The model that will speak with the voice.": "将使用该音色的模型。",
    "How the audio is sent.": "音频的发送方式。",
    "If the account has a voice with this model, name and text, print its uri and upload nothing (default: "
    "off).": "账号里已有模型、名称和文本都相同的音色时，输出它的 uri，不上传（默认：关）。",
    # list
    "List the account's own voices: uri, name, model and text.": (
        "列出账号自己的音色：uri、名称、模型和文本。"
    ),
    "In a terminal as a table; elsewhere a line per voice, its cells separated by tabs.": (
        "在终端里是表格；其他情况下每个音色一行，各列用制表符分隔。"
    ),
    "Only voices with such a name; `*` stands for any text, and `?` for any letter (default: all).": (
        "只列出名称符合的音色；`*` 代表任意文字，`?` 代表任意一个字符（默认：全部）。"
    ),
    "Only voices of this model (default: all).": "只列出这个模型的音色（默认：全部）。",
    # delete
    "Delete voices of the account, by their uris. A voice that was deleted can't be restored.": (
        "按 uri 删除账号的音色。删除后不能恢复。"
    ),
    "In a terminal it asks before it deletes; elsewhere --yes is required.": (
        "在终端里会先询问；其他情况下必须加 --yes。"
    ),
    "Exit status: 0 all deleted; 1 at least one was not, such as one that does not exist; 2 invalid usage: "
    "nothing was deleted; 3 stopped early by an error that would hit every voice.": (
        "退出状态：0 全部删除；1 至少有一个没有删除，例如不存在的音色；2 用法有误，什么都没有删除；"
        "3 遇到每个音色都会遇到的错误，提前停止。"
    ),
    "The voices, each by its uri, which begins with `speech:`.": "要删除的音色的 uri，以 `speech:` 开头。",
    "Delete without asking (default: off).": "不询问，直接删除（默认：关）。",
    # speak
    "Speak a text, into a file or to a player.": "把文本合成为语音，写入文件或交给播放器。",
    "A file is there when all of it has come, and not before. Standard output has nothing but the audio, as "
    "it arrives.": "全部收到之后才会有文件。标准输出里只有音频，边收边写。",
    "Exit status: 0 spoken; 2 invalid usage: nothing was sent; 3 it failed, and there is no file.": (
        "退出状态：0 已合成；2 用法有误，什么都没有发送；3 失败，没有文件。"
    ),
    "What to speak, or - to read it from standard input.": "要合成的文本；- 表示从标准输入读取。",
    "The uri of a voice, or a preset's name: alex, anna, bella, benjamin, charles, claire, david or diana.": (
        "音色的 uri，或预置音色的名称：alex、anna、bella、benjamin、charles、claire、david、diana。"
    ),
    "The file, or - for standard output (default: standard output, if that is not a terminal).": (
        "输出文件；- 表示标准输出（默认：标准输出，但不能是终端）。"
    ),
    "The format (default: that of the file's name, or mp3).": "格式（默认：按文件扩展名，否则为 mp3）。",
    "Samples per second: 32000 or 44100 for mp3, 48000 for opus, and for wav and pcm 8000, 16000, 24000, "
    "32000 or 44100 (default: 32000, 48000, and 24000).": (
        "采样率：mp3 为 32000 或 44100，opus 为 48000，wav 和 pcm 为 8000、16000、24000、32000 或 44100"
        "（默认依次为 32000、48000、24000）。"
    ),
    "From 0.25 to 4.": "语速，0.25 到 4。",
    "Loudness in dB, from -10 to 10.": "音量，单位 dB，-10 到 10。",
    "The model that speaks (default: FunAudioLLM/CosyVoice2-0.5B).": (
        "合成所用的模型（默认：FunAudioLLM/CosyVoice2-0.5B）。"
    ),
    "A recording to speak like, in place of --voice; a dialogue needs one for each speaker.": (
        "要模仿的录音，代替 --voice；对话需要每个说话人各一个。"
    ),
    "What is spoken in the recording, word for word; one for each.": (
        "录音里说的话，要逐字一致；每个录音各一个。"
    ),
    # transcribe
    "Transcribe recordings, and print what is spoken in them.": "转写录音，输出其中说的话。",
    "Of one recording the text alone is printed; of several, each behind the file's name.": (
        "一个录音只输出文本；多个录音则在文本前加文件名。"
    ),
    "Exit status: 0 all transcribed, also those in which nothing was heard; 1 at least one was refused or "
    "can't be read; 2 invalid usage; 3 stopped early by an error that would hit every recording.": (
        "退出状态：0 全部转写完成，没有听到内容的也算；1 至少有一个被拒绝或无法读取；2 用法有误；"
        "3 遇到每个录音都会遇到的错误，提前停止。"
    ),
    "The recordings: mp3, wav, m4a, webm, ogg, opus or flac; each at most 50 MB and an hour.": (
        "录音：mp3、wav、m4a、webm、ogg、opus 或 flac；每个不超过 50 MB、一小时。"
    ),
    "The model that transcribes.": "转写所用的模型。",
    "Leave out emojis, symbols and marks that the model adds (default: off).": (
        "去掉模型添加的表情、符号和标记（默认：关）。"
    ),
    "Write the text to this file (default: standard output).": "把文本写入这个文件（默认：标准输出）。",
    # models
    "List the models that exist today for this key.": "列出这个密钥目前可用的模型。",
    "Only models of this kind (default: both kinds, each model behind its kind).": (
        "只列出这一类模型（默认：两类都列出，每个模型前是它的类别）。"
    ),
    # inspect
    "Show the format, size and duration of recordings, and which would be refused. Nothing is sent.": (
        "显示录音的格式、大小和时长，以及哪些会被拒绝。不发送任何数据。"
    ),
    "A duration is shown only if it is known, and a recording is refused only for what is known.": (
        "时长确知时才显示；只有确知违反规则的录音才会被拒绝。"
    ),
    "Exit status: 0 all would be accepted; 1 at least one would be refused or can't be read; 2 invalid "
    "usage; 3 standard output can't be written.": (
        "退出状态：0 全部可以接受；1 至少有一个会被拒绝或无法读取；2 用法有误；3 无法写入标准输出。"
    ),
    "The recordings.": "录音文件。",
    # serve
    "Run an emulator of the API on this machine, with quotas and faults, to try things without a key.": (
        "在本机运行 API 的模拟器，可以设定限额和故障；没有密钥也能试用。"
    ),
    # completion
    "Print the script that completes commands and options in a shell, or install it.": (
        "输出（或安装）让 shell 补全命令和选项的脚本。"
    ),
    "The shell.": "哪种 shell。",
    "Write the script where the shell finds it, and a line that loads it to ~/.bashrc or ~/.zshrc (default: "
    "off).": "把脚本写到 shell 能找到的地方，并在 ~/.bashrc 或 ~/.zshrc 里加一行来加载（默认：关）。",
    # bulk
    "Upload every recording listed in a manifest, and resume where an earlier run stopped.": (
        "上传清单里的所有录音；中断之后可以接着做。"
    ),
    "The manifest is a CSV, Excel (.xlsx) or JSON Lines file with the columns audio, custom_name and text, "
    "and optionally model and encoding.": (
        "清单是 CSV、Excel（.xlsx）或 JSON Lines 文件，有 audio、custom_name 和 text 三列，"
        "还可以有 model 和 encoding。"
    ),
    "Run the same command again to resume: uploads that are known to be stored are not sent twice.": (
        "再次运行同一条命令就会接着做：已知存好的不会再传。"
    ),
    "Exit status: 0 all done; 1 some rows failed; 2 invalid usage; 3 stopped early by an error that would "
    "hit every upload (a bad key, a daily quota); 130, 143 or 129 interrupted by a signal.": (
        "退出状态：0 全部完成；1 有的行失败；2 用法有误；3 遇到每次上传都会遇到的错误"
        "（密钥无效、当日额度用完），提前停止；130、143 或 129 被信号中断。"
    ),
    "The .csv, .xlsx or .jsonl file that lists the recordings.": "列出录音的 .csv、.xlsx 或 .jsonl 文件。",
    "Record uploads and their results here, to resume from (default: NAME.journal beside the manifest).": (
        "把上传及其结果记在这里，供下次接着做（默认：清单旁的 NAME.journal）。"
    ),
    "Write every row's outcome to this .csv or .jsonl file (default: none).": (
        "把每一行的结果写入这个 .csv 或 .jsonl 文件（默认：不写）。"
    ),
    "Write failed rows here, as a manifest you can run again (default: NAME.failures.csv beside the "
    "manifest).": "把失败的行写在这里，可以当作清单再次运行（默认：清单旁的 NAME.failures.csv）。",
    "Write an HTML report with a timeline of the run (default: none).": (
        "写一份带时间线的 HTML 报告（默认：不写）。"
    ),
    "Model for rows that don't set one.": "没有指定模型的行所用的模型。",
    "How audio is sent, for rows that don't set it.": "没有指定发送方式的行如何发送音频。",
    "Text encoding of the manifest; use gb18030 for a CSV saved by Excel on Chinese Windows.": (
        "清单的文本编码；中文 Windows 上由 Excel 保存的 CSV 请用 gb18030。"
    ),
    "Folder that audio paths are relative to and must stay in (default: the manifest's folder).": (
        "音频路径所相对的文件夹，路径不能超出它（默认：清单所在的文件夹）。"
    ),
    "Allow audio paths that lead out of that folder (default: off; such rows fail).": (
        "允许音频路径超出该文件夹（默认：关，这样的行会失败）。"
    ),
    "Most requests in flight at once.": "同时进行的请求数上限。",
    "The account's limit, never exceeded (default: learned, at the cost of about a dozen 429s).": (
        "账号的限额，绝不超过（默认：自动学习，代价是大约十几次 429）。"
    ),
    "The account's token limit, never exceeded; a character of text counts as a token (default: learned).": (
        "账号的 token 限额，绝不超过；文本的一个字符算一个 token（默认：自动学习）。"
    ),
    "Check all rows and recordings, list every problem, and send nothing (default: off).": (
        "检查所有行和录音，列出全部问题，不发送任何数据（默认：关）。"
    ),
    "Seconds after the end of the run before until an upload of it that the voice list lacks is sent "
    "again.": ("上次运行结束多少秒之后，才重发音色列表里没有的上传。"),
    # journal
    "Show or correct the journal of bulk runs, while no run has it.": (
        "查看或更正批量上传的日志（没有任务在用它的时候）。"
    ),
    "The journal, such as voices.journal.": "日志文件，如 voices.journal。",
    "Count the uploads of a journal by state.": "按状态统计日志里的上传。",
    "List the uploads of a journal: state, name, uri and audio.": (
        "列出日志里的上传：状态、名称、uri 和音频。"
    ),
    "Only those in this state: uploaded, recovered, failed, pending or unknown (default: all).": (
        "只列出这个状态的：uploaded、recovered、failed、pending 或 unknown（默认：全部）。"
    ),
    "List the voices that a later upload replaced: name, uri, the later uri, and audio.": (
        "列出被后来的上传取代的音色：名称、uri、后来的 uri 和音频。"
    ),
    "The later one has the same model and name, or is the same recording with another text. Nothing is "
    "deleted: check that a voice is not wanted, pass its uri to `siliconflow-voice delete`, and to `journal "
    "forget`.": (
        "后来的音色模型和名称相同，或者是同一录音配了另一段文本。不会删除任何音色：确认不再需要之后，"
        "把它的 uri 传给 `siliconflow-voice delete` 和 `journal forget`。"
    ),
    "Write all uploads of a journal to a .csv or .jsonl file.": (
        "把日志里的全部上传写入 .csv 或 .jsonl 文件。"
    ),
    "The file to write; one that exists is replaced.": "要写的文件；已有的会被替换。",
    "Record what became of an upload that is unknown, where no list can show it.": (
        "上传结果不明、列表又查不出来时，记下它的结果。"
    ),
    "Exit status: 0 recorded; 1 the journal has no such upload.": (
        "退出状态：0 已记录；1 日志里没有这次上传。"
    ),
    "Of the upload's audio, as `journal records` shows it.": (
        "上传的音频的 sha256，见 `journal records` 的输出。"
    ),
    "The upload's custom_name.": "上传的 custom_name。",
    "The voice that it has.": "它对应的音色。",
    "It has no voice, and is to be sent again (default: off).": "它没有音色，需要重发（默认：关）。",
    "Forget a voice that was deleted: the next run sends its upload again.": (
        "忘掉一个已删除的音色：下次运行会重新上传。"
    ),
    "Exit status: 0 forgotten; 1 the journal has no such voice.": (
        "退出状态：0 已忘掉；1 日志里没有这个音色。"
    ),
    "The voice's uri.": "音色的 uri。",
    # Recordings at an address.
    "Fetch audio from this host, or for object storage from this bucket, where the manifest has an address; "
    "can be repeated (default: none; such rows fail).": (
        "清单里写网址时，允许从这个主机下载音频；对象存储则写存储桶的名称。可以重复（默认：不允许，这样的行会失败）。"
    ),
    "Fetch it by this scheme, such as s3 or http; can be repeated (default: https).": (
        "允许用这种协议下载，例如 s3 或 http；可以重复（默认：https）。"
    ),
    "Fetch it also from this machine and private networks (default: off; such rows fail).": (
        "也允许从本机和内网下载（默认：否，这样的行会失败）。"
    ),
    # Families whose own pages are in English.
    "Make recordings of any format and length fit for reference voices. Nothing is sent.": (
        "把任何格式、任何长度的录音处理成合适的参考音频。不发送任何内容。"
    ),
    "Upload from many machines: submit manifests, and work on them.": (
        "用多台机器上传：提交清单，并处理它们。"
    ),
}
