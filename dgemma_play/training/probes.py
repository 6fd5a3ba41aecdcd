"""What a checkpoint is asked in an evaluation: prompts, and what their answers must hold.

Four kinds of wording: *seen* are wordings and subjects of the corpus; *paraphrased* are ways of asking
that no template has; *held out* are words of the vocabulary that never were the subject of a story or verse,
and *unknown* ones are spelt out in characters, because the vocabulary does not have them.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgemma_play.training.grammar import words


@dataclass(frozen=True)
class Probe:
    """A prompt, the form that its answer should have, and the words that it should hold."""

    kind: str
    form: str
    prompt: str
    words: tuple[str, ...] = ()


def _probes(kind: str, table: str) -> tuple[Probe, ...]:
    """Rows of `form | prompt | words`."""
    rows = (line.split(" | ") for line in table.strip().splitlines())
    return tuple(Probe(kind, form, prompt, tuple("".join(words).split())) for form, prompt, *words in rows)


SEEN = _probes(
    "seen",
    """
story | Write a short story about a fox. | fox
story | tell me a story about a pirate | pirate
story | Write a story about a knight and a dragon. | knight dragon
story | Please write a bedtime story about my grandmother | grandmother
story | a tiny story about a robot on the moon | robot moon
story | Write a story about a teapot. | teapot
story | a story about a lonely lighthouse | lonely lighthouse
long story | Write a long story about a bear. | bear
long story | a longer story about a witch and a cat | witch cat
haiku | Write a haiku about rain. | rain
haiku | a haiku about the sea | sea
haiku | Give me a haiku about coffee | coffee
haiku | haiku: winter | winter
haiku | Please write a haiku about an owl. | owl
couplet | Write two lines that rhyme about snow. | snow
couplet | a couplet about the moon | moon
couplet | two rhyming lines about a cat | cat
poem | Write a poem about the sea. | sea
poem | a short poem about friendship | friendship
poem | four lines that rhyme about a train | train
greeting | Write a greeting for Ana. | Ana
greeting | a birthday wish for Noah | Noah
greeting | Write a thank you note to Lily | Lily
name | Name a café.
name | a name for my dog
name | Invent a name for a spaceship
opening | Write an opening line about a violin. | violin
opening | the first sentence of a novel about a thief | thief
dialogue | Write a dialogue between a cat and a mouse. | cat mouse
dialogue | a conversation between a king and a baker | king baker
advice | Give me advice from a turtle. | turtle
list | Write a list of three things in the pocket of a pirate.
recipe | a recipe for happiness
riddle | Write a riddle about a clock.
chat | hello
chat | What is quantum physics?
blank | Fill in the blank: A brave fox lost the ___ in the forest again. | fox forest
blank | Fill in the blank: The ___ and the owl sat in the garden and sang. | owl garden
code | Write a Python function that adds two numbers.
code | write a python function that reverses a string
code | Python function that finds the largest value in a list
code | a Python function that checks if a number is even
""",
)

PARAPHRASED = _probes(
    "paraphrased",
    """
story | I'm in the mood for a tale with a rabbit in it. | rabbit
story | can we have some story time? it should have a witch | witch
story | My son loves trains. Tell him something before bed! A story about a train. | train
story | An elephant is who I want to hear about in bed | elephant
story | once upon a time there was a turtle. go on | turtle
story | Make my kids smile with a wolf story | wolf
haiku | five, seven, five please. It is autumn! | autumn
haiku | three lines, five seven five, on the subject of snow | snow
haiku | my dog wants his own haiku now | dog
couplet | rhyme something for me about tea, two lines only | tea
couplet | I need something that rhymes, two lines, for a clock | clock
couplet | make me a quick couplet on the stars and the moon | moon
poem | I'd love a poem, maybe about a river | river
poem | let the winter have four lines with rhymes | winter
greeting | Please greet my friend Emma nicely | Emma
greeting | Max is a year older today, cheer him! | Max
name | What could we name our new bakery?
name | My friend opens a restaurant. Any ideas for its name?
opening | begin a novel with a comet | comet
opening | I open a novel and there is a ghost. Its first line? | ghost
dialogue | let a dog and a robot have a short conversation | dog robot
dialogue | A queen meets a goat. What do they say to each other? | queen goat
advice | what advice would an old owl have? | owl
story | my son loves squirrels, could you tell him a little story with one | squirrel
story | once upon a time there was a squirrel... please finish the story | squirrel
story | i feel like hearing a short tale where a queen is the hero | queen
story | what happened to the lonely queen? make up a story for me | queen
story | bedtime story please, the main character should be a snowman | snowman
story | can i get a short winter story starring a snowman | snowman
story | make me laugh with a quick story involving somebody's silly uncle | uncle
story | got any good stories with an uncle in them? | uncle
story | short story, kid friendly, has to have a rocket in it | rocket
story | we need a story for class and the topic is a rocket | rocket
story | a ghost meets a cat, turn that into a short story | ghost cat
story | do you know a spooky little story with a cat and a ghost | cat ghost
haiku | it's storming outside, give me a haiku for the thunder | thunder
haiku | thunder, but as a haiku | thunder
haiku | would you mind putting together a haiku on the river near my house | river
haiku | i'm sitting by a river and a haiku would be lovely right now | river
haiku | spring is finally here so how about a haiku to celebrate it | spring
haiku | looking for a haiku that feels like spring | spring
haiku | just saw an owl! haiku please | owl
haiku | describe an owl using only a haiku | owl
couplet | can't start my day without coffee, sum that up in a couplet | coffee
couplet | two rhyming lines for my coffee mug, all about the coffee | coffee
couplet | come up with a rhyming couplet for someone riding a train | train
couplet | i want a couplet and i want it to mention a train | train
couplet | how would you describe winter in just one couplet | winter
couplet | winter couplet, anything you like | winter
poem | my mum adores her garden, please make her a short rhyming poem | garden
poem | four lines that rhyme, with a garden as the theme | garden
poem | is there a nice little poem you could do for me on friendship | friendship
poem | friendship means a lot to me, put it into a rhyming poem | friendship
poem | the moon is so pretty tonight that it deserves a poem | moon
poem | let's have a four line poem with the moon in it | moon
greeting | say hello to my friend Leo | Leo
greeting | Leo just walked in, how should i welcome him? | Leo
greeting | Clara turns nine today, what can i put in her birthday card | Clara
greeting | please wish Clara a happy birthday from all of us | Clara
name | i'm opening a small café and still don't know what to call it
name | suggest a name for our new café
name | we just got a dog, what would be a good name for him
name | help, my dog needs a name
opening | how might a novel with a tired detective begin? only the first line | detective
opening | i'm starting a detective novel and i'm stuck on the opening line | detective
dialogue | what would a fox and an owl say to each other? show their dialogue | fox owl
dialogue | let me listen in on a short conversation between an owl and a fox | owl fox
advice | if you were my grandmother, what advice would you give me | grandmother
advice | i could use some wise advice, the kind that comes from a grandmother | grandmother
code | need a python function, it takes two numbers and multiplies them
code | how do i multiply two numbers with a function in python
code | in python, which function would tell me if a number is even
code | show me python code for an is even check, as one function
code | python function to get the biggest value out of a list, thanks
code | i have a list and want its largest value, python function please
""",
)

HELD_OUT = tuple(
    Probe("held out", form, lead.format(noun=noun), (noun,))
    for noun in sorted(words.held_out())
    for form, lead in (
        ("story", "Write a story about a {noun}."),
        ("haiku", "Write a haiku about the {noun}."),
    )
)

_UNKNOWN = (
    *("xylophone", "platypus", "chandelier", "walnut", "gecko", "hammock", "saxophone", "quokka"),
    *("trombone", "zeppelin"),
)
UNKNOWN = tuple(
    Probe("unknown", form, lead.format(noun=noun))
    for noun in _UNKNOWN
    for form, lead in (
        ("story", "Write a story about a {noun}."),
        ("haiku", "Write a haiku about a {noun}."),
    )
) + tuple(
    Probe("unknown", "greeting", f"Write a greeting for {name}.")
    for name in ("Xanthippe", "Bartholomew", "Zbigniew", "Quentin", "Oluwaseun")
)

DIVERSITY = (
    "Write a short story about a fox.",
    "Write a haiku about the sea.",
    "Write a poem about the moon.",
    "Write a birthday wish for Noah.",
    "Name a bakery.",
)
