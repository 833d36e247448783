-- Anchorage, for Lmod: module use PREFIX/share/modulefiles; module load anchorage

local modules = myFileName():match("^(.*)/[^/]+/[^/]+$") -- PREFIX/share/modulefiles
local prefix = modules:match("^(.*)/[^/]+/[^/]+$")

whatis("Anchorage keeps a large language model's knowledge current: factual edits written into its weights")
help([[
anchorage --help and man anchorage tell how the program is used. Job scripts of nightly refreshes are in
$ANCHORAGE_SOURCE/launch/refresh/slurm, hyper-parameters in $ANCHORAGE_SOURCE/launch/hparams.
]])

conflict("anchorage")
prepend_path("PATH", pathJoin(prefix, "bin"))
prepend_path("MANPATH", pathJoin(prefix, "share/man"))
prepend_path("CMAKE_PREFIX_PATH", prefix)
setenv("ANCHORAGE_SOURCE", pathJoin(prefix, "share/anchorage"))
