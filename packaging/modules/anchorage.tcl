#%Module1.0
# Anchorage, for Environment Modules and Lmod: module use PREFIX/share/modulefiles; module load anchorage

set prefix [file dirname [file dirname [file dirname [file dirname $ModulesCurrentModulefile]]]]

module-whatis "Anchorage keeps a large language model's knowledge current: factual edits written into its weights"

proc ModulesHelp { } {
    puts stderr "anchorage --help and man anchorage tell how the program is used. Job scripts of nightly refreshes are in"
    puts stderr "\$ANCHORAGE_SOURCE/launch/refresh/slurm, hyper-parameters in \$ANCHORAGE_SOURCE/launch/hparams."
}

conflict anchorage
prepend-path PATH $prefix/bin
prepend-path MANPATH $prefix/share/man
prepend-path CMAKE_PREFIX_PATH $prefix
setenv ANCHORAGE_SOURCE $prefix/share/anchorage
