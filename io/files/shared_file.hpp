// Gives a file a second name without writing its content again, where the file system can.
#pragma once

#include <filesystem>
#include <string_view>

namespace anchorage::io {

// How a file came to its new place. `reflinked`: both files share their blocks until one of them is written to
// (FICLONE: Btrfs, XFS, bcachefs, ...). `hard_linked`: two names of one file, so whoever changes it in place
// changes both. `copied`: neither was possible (another file system, or one without links), or it was not asked
// for. `written`: the content is new.
enum class Placement { reflinked, hard_linked, copied, written };

std::string_view name_of(Placement placement);  // "reflinked", "hard-linked", "copied", "written"

// Makes `to`, which must not exist, a reflink of `from`, else a hard link, else a copy. A link on the way to `from`
// is followed. A reflink and a copy appear whole or not at all. Throws SystemError where even the copy fails.
Placement share_file(const std::filesystem::path& from, const std::filesystem::path& to);

// Copies the content; `to` appears whole or not at all.
void copy_whole_file(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace anchorage::io
