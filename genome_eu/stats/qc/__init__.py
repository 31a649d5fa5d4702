"""Quality control: of people, whose measures never leave their site, and of variants.

`people` measures call rate, heterozygosity, sex, Ti/Tv and singletons of each person; `families`
counts Mendelian errors; `removal` decides, by limits, who and what is removed, and why.
"""
