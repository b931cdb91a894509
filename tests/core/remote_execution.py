"""The messages of bazelbuild/remote-apis' remote_execution.proto that a cache has to do with, for protobuf's library.

Fields and numbers are copied from build/bazel/remote/execution/v2/remote_execution.proto, package
build.bazel.remote.execution.v2; what no test sets is left out.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "build.bazel.remote.execution.v2"
_KINDS = {"string": _FIELD.TYPE_STRING, "bytes": _FIELD.TYPE_BYTES, "int64": _FIELD.TYPE_INT64, "int32": _FIELD.TYPE_INT32, "bool": _FIELD.TYPE_BOOL}
_MESSAGES = {
    "Digest": "string hash = 1; int64 size_bytes = 2",
    "NodeProperty": "string name = 1; string value = 2",
    "NodeProperties": "repeated NodeProperty properties = 1",
    "OutputFile": "string path = 1; Digest digest = 2; bool is_executable = 4; bytes contents = 5; NodeProperties node_properties = 7",
    "OutputDirectory": "string path = 1; Digest tree_digest = 3; bool is_topologically_sorted = 4",
    "OutputSymlink": "string path = 1; string target = 2; NodeProperties node_properties = 4",
    "ExecutedActionMetadata": "string worker = 1",
    "ActionResult": "repeated OutputFile output_files = 2; repeated OutputDirectory output_directories = 3; int32 exit_code = 4; bytes stdout_raw = 5;"
    " Digest stdout_digest = 6; bytes stderr_raw = 7; Digest stderr_digest = 8; ExecutedActionMetadata execution_metadata = 9;"
    " repeated OutputSymlink output_file_symlinks = 10; repeated OutputSymlink output_directory_symlinks = 11; repeated OutputSymlink output_symlinks = 12",
}


def _classes():
    file = descriptor_pb2.FileDescriptorProto(name="remote_execution.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for line in fields.split(";"):
            *repeated, kind, field, _, number = line.split()
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            more = {"type": _KINDS[kind]} if kind in _KINDS else {"type": _FIELD.TYPE_MESSAGE, "type_name": f".{_PACKAGE}.{kind}"}
            message.field.add(name=field, number=int(number), label=label, **more)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


_ALL = _classes()
ActionResult, OutputFile, Digest = (_ALL[name] for name in ("ActionResult", "OutputFile", "Digest"))
