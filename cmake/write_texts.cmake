# cmake -DROOT=... -DHEADER=... -DFUNCTION=... -DTEXTS=... -DSOURCE=... -P write_texts.cmake: cmake/EmbedTexts.cmake
# says what it writes.

string(REGEX MATCH "^(.*)::([^:]*)$" whole ${FUNCTION})
set(namespace ${CMAKE_MATCH_1})
set(name ${CMAKE_MATCH_2})
set(entries "")
foreach(path ${TEXTS})
  file(READ ${path} text)
  file(RELATIVE_PATH from_root ${ROOT} ${path})
  string(APPEND entries "    {\"${from_root}\", R\"text(${text})text\"},\n")
endforeach()
file(WRITE ${SOURCE} "#include \"${HEADER}\"

namespace ${namespace} {

std::span<const SourceText> ${name}() {
  static constexpr SourceText texts[] = {
${entries}  };
  return texts;
}

}  // namespace ${namespace}
")
