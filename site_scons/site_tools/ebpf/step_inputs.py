"""Makes the one Value node of all that a step depends on beside its files, and says in words what of it changed.

SCons compares the node's text: JSON in which a long input (flags, the core's files) is its sha256. It stores and prints
the node in words (--tree). The ledger keeps what words and digests stand for, so that --debug=explain names the
difference.
"""

import hashlib
import json
import re
from collections import Counter
from functools import cached_property

from SCons.Node.Python import Value, _memo_lookup_map

from ebpfbuild.rebuild.step_code import core_digests, package_versions, step_digest, step_files

_KEPT = "@"  # before the sha256 of what the ledger keeps
_INDENT = " " * 11  # before each of several lines, as SCons's Node.explain has it
_SHA256 = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


class InputsValue(Value):
    """The node of a step's inputs, a text: signed by that, and shown in words."""

    def __init__(self, text, inputs):
        super().__init__(text)
        self._inputs = inputs

    def __str__(self):
        return self._inputs.words(str(self.value))


# The modules of the core in which the steps begin whose outputs are packed, or that decide what may be.
MAKING = (
    *("bundle/build.py", "compile/object.py", "core_relo/minimal.py", "fetch/install.py", "image/image.py"),
    *("kernel_image/open_btf.py", "link/linker.py", "link/proof.py", "minimize/index.py", "minimize/program.py"),
    *("package/pack.py", "prove/proof.py", "skeleton/c_skeleton.py", "skeleton/skeleton.py", "uapi/install.py"),
)


class StepInputs:
    """The inputs of a session's steps."""

    def __init__(self, session):
        self._session = session
        self._codes = {}  # by the module in which a step begins
        self._flags = {}  # by what flags depend on
        self._files = {}  # by their part and paths
        self._nodes = {}  # by their text
        self._words = {}  # of nodes, by their text

    def node(self, env, entry, **inputs):
        """Returns the Value node of a step that begins in module `entry` of the core and is given `inputs`.

        The name of an input is what an explanation calls it. A list's is its items' name: an explanation says which
        were added and removed. A dict's items are called by their keys: an explanation says which of them changed, too.
        """
        return self.value(self.text(code=f"{_KEPT}{self.code(entry)}", **inputs))

    def value(self, text):
        """Returns the one node of a text that `text` made, or of an object whose str() is such a text."""
        if text not in self._nodes:
            node = self._nodes[text] = InputsValue(text, self)
            if isinstance(text, str):
                # SCons makes the nodes of the last build of what it stored, the words, by this table: it is to find
                # this one.
                _memo_lookup_map[hash((self.words(text), None))] = node
        return self._nodes[text]

    def words(self, text):
        """Returns a node's text in words: `inputs 4fce0470b2e7: clang 22.1.8 9c5a…, code fef1…, mode exact`."""
        if text not in self._words:
            inputs = json.loads(text)["inputs"]
            listed = ", ".join(f"{name} {_brief(value)}" for name, value in inputs.items())
            words = f"inputs {hashlib.sha256(text.encode()).hexdigest()[:12]}: {listed}"
            self._session.ledger.fact(words, lambda: inputs)
            self._words[text] = words
        return self._words[text]

    def text(self, **inputs):
        """Returns a node's text for inputs as `node` takes them."""
        texts = {
            name: self._kept(value) if isinstance(value, (list, dict)) else value for name, value in inputs.items()
        }
        return json.dumps({"inputs": texts}, sort_keys=True, default=str)

    def code(self, entry):
        """Returns the sha256 of the code that a step beginning in module `entry` runs: the core's, and packages'."""
        if entry not in self._codes:
            ledger = self._session.ledger
            files = step_files(entry, self._core, ledger.fact)
            packages = package_versions(files)
            digest = self._codes[entry] = step_digest(files | packages)
            ledger.fact(digest, lambda: {f"ebpfbuild/{file}": sha256 for file, sha256 in files.items()} | packages)
        return self._codes[entry]

    @cached_property
    def making_code(self):
        """The sha256 of the code of all steps that have a part in what is packed: what papers call the builder's.

        An edit of what makes nothing, `kernels` or `vendor` for example, is none of it.
        """
        files = {}
        for entry in MAKING:
            files |= step_files(entry, self._core, self._session.ledger.fact)
        return step_digest(dict(sorted(files.items())))

    @cached_property
    def _core(self):
        """The sha256 of each of the core's files, by path."""
        return core_digests(self._session.ledger.digest)

    def flags(self, args):
        """Returns a compile's flags as an input. Where its vmlinux.h lies is not among them."""
        key = args.arch.name, args.include_dirs, args.cflags, args.uapi_dirs, args.names
        if key not in self._flags:
            self._flags[key] = self._kept(args._replace(header_dir="").flags())
        return self._flags[key]

    def files(self, part, files):
        """Returns the digests of files, paths on disk by place, as an input; `part` begins their names in explanations.

        Raises OSError.
        """
        key = part, *files.values()
        if key not in self._files:
            digests = {f"{part}/{place}": self._session.digest(path) for place, path in files.items()}
            self._files[key] = self._kept(digests)
        return self._files[key]

    def _kept(self, value):
        """Has the ledger keep a list or dict, and returns what stands for it in a node's text."""
        text = json.dumps(value, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._session.ledger.fact(
            digest, lambda: json.loads(text if isinstance(value, dict) else f'{{"items": {text}}}')
        )
        return f"{_KEPT}{digest}"

    def explained(self, text, old, new):
        """Returns SCons's explanation of a rebuild with the differences in the place of Values' words.

        `old` and `new` are the nodes that the target depended on and depends on. SCons says nothing of them for a file
        that isn't there; then the words are put below: Session.repair removes a header that is no longer the pinned
        one.
        """
        gone, come = (
            {str(node): self._session.ledger.recall(str(node)) for node in nodes if isinstance(node, Value)}
            for nodes in (old, new)
        )
        pairs = zip(
            (each for each in gone if gone[each] and each not in come),
            (each for each in come if come[each] and each not in gone),
        )
        for before, after in pairs:
            words = "".join(f"{_INDENT}{_short(each)}\n" for each in self._differences(gone[before], come[after]))
            lines = f"{_INDENT}`{before}' is no longer a dependency\n", f"{_INDENT}`{after}' is a new dependency\n"
            if words and all(line in text for line in lines):
                text = text.replace(lines[0], "").replace(lines[1], words)
            else:
                text += words
        return text

    def _differences(self, old, new):
        """Returns a line for each difference between the inputs of two node texts."""
        words = []
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                words += self._difference(name, old.get(name), new.get(name))
        return words

    def _difference(self, name, old, new):
        before, after = map(self._recalled, (old, new))
        if before is None or after is None:
            return [f"{name} {_text(old)} -> {_text(new)}"]
        if "items" in before or "items" in after:
            before, after = (Counter(map(str, each.get("items", ()))) for each in (before, after))
            found = [f"{name} {item} removed" for item in (before - after).elements()]
            found += [f"{name} {item} added" for item in (after - before).elements()]
            return found or [f"{name} order changed"]
        verbs = {
            item: "added" if item not in before else "removed" if item not in after else "changed"
            for item in {**before, **after}
        }
        return [f"{item} {verb}" for item, verb in sorted(verbs.items()) if before.get(item) != after.get(item)]

    def _recalled(self, value):
        """Returns what the ledger keeps of an input; None for one that is short, or that the ledger no longer knows."""
        kept = isinstance(value, str) and value.startswith(_KEPT)
        return self._session.ledger.recall(value.removeprefix(_KEPT)) if kept else None


def _text(value):
    """Writes a short input, or the sha256 of a long one that the ledger doesn't know."""
    return "none" if value in (None, "") else str(value).removeprefix(_KEPT)


def _brief(value):
    """Writes an input as a tree shows it: a long one by the first digits of its sha256."""
    text = str(value)
    return f"{text[1:13]}…" if text.startswith(_KEPT) else _short(text) if len(text) >= 64 else _text(value)


def _short(line):
    """Writes each sha256 of a line by its first twelve digits."""
    return _SHA256.sub(r"\1…", line)
