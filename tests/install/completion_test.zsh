# zsh -f completion_test.zsh FUNCTIONS: types words and a tab into a zsh on a pseudo terminal, and looks for what it offers.
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1='> '; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; stty columns 200; echo be''gin"
text=''
while zpty -r shell line; do
  text+=$line
  [[ $text == *begin* ]] && break
done

# offers TYPED EXPECTED
offers() {
  local found='' line
  zpty -w -n shell "$1"$'\t\t'
  repeat 100; do
    while zpty -r -t shell line; do found+=$line; done
    [[ $found == *$2* ]] && break
    sleep 0.1
  done
  zpty -w -n shell $'\x15' # deletes the line
  [[ $found == *$2* ]] && return
  print -u2 "error: expected zsh to offer '$2' after '$1', found: $found"
  exit 1
}
offers 'anchorage ' 'rollback'
offers 'anchorage journal ' 'verify'
offers 'anchorage edit --on' '--on-conflict'
offers 'anchorage edit --on-conflict ' 'keep-both'
zpty -d shell
