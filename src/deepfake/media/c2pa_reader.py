"""A program of its own: picture on standard input -> C2PA manifest store as JSON on standard output.

Run with the picture's MIME type as the only argument. `deepfake.media.metadata` starts it as a process,
because a native library reads untrusted bytes here: a crash or endless work ends only this process.
It imports nothing else of the project, so that it starts at once.
"""

from __future__ import annotations

import io
import resource
import sys

_MEMORY = 2**31  # bytes of address space
_OFFLINE = {
    "verify.remote_manifest_fetch": "false",  # a file must not make this machine ask another host
    "verify.ocsp_fetch": "false",
    "verify.verify_trust": "false",  # no list of trusted signers ships with the project
}


NONE = 3  # exit code: there is no manifest


def main() -> int:
    """Write the JSON; exit code 1 and one line on standard error where it can't be read."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    import c2pa

    settings = c2pa.Settings()
    for name, value in _OFFLINE.items():
        settings.set(name, value)
    picture = io.BytesIO(sys.stdin.buffer.read())
    try:
        with c2pa.Reader(sys.argv[1], picture, context=c2pa.Context(settings)) as reader:
            sys.stdout.write(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return NONE
    except c2pa.C2paError as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
