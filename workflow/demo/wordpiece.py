"""A WordPiece vocabulary of common English words, in which every word can be spelled."""

import string

from workflow.demo.words import vocabulary

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
COMMON = """
a able about above across act action add afraid after afternoon again against age ago agree air all allow almost alone
along already also although always am among amount an and anger angry animal another answer any anybody anyone anything
anyway apart apartment appear apple apply area argue arm around arrive art as ask asleep at attention aunt away awful
baby back bad bag ball bank bar bathroom be beach bear beat beautiful became because become bed been before began begin
behind being believe belong below beside best better between beyond big bill bird birthday bit bitter black blame blood
blue board boat body book born boss both bother bottle bottom box boy brave bread break breakfast breath bring broke
broken brother brought brown build building burn bus business busy but buy by call calm came camera can car card care
careful carry case cat catch caught cause certain chair chance change cheap check child children choice choose church
city class clean clear clock close clothes cloud coat coffee cold college color come comfort common company complain
complete computer control cook cool corner cost could count country couple course cover crazy cream cross cry cup cut
dad damage dance danger dark daughter day dead deal dear death decide deep did die different difficult dinner dirty do
doctor does dog dollar done door doubt down draw dream dress drink drive drop dry during each ear early earn earth easy
eat edge egg eight either else empty end enemy enjoy enough enter entire even evening ever every everybody everyone
everything exactly excited excuse expect expensive explain eye face fact fail fair fall false family famous far farm
fast fat father fault favor fear feel feet fell felt few field fight figure fill final finally find fine finger finish
fire first fish five fix floor flower fly follow food foot for force forever forget forgive form forty forward found
four free fresh friday friend from front full fun funny future game garden gave get gift girl give glad glass go god
gold gone good goodbye got government grandfather grandmother grass gray great green ground group grow guess guest guy
had hair half hall hand hang happen happy hard has hat hate have he head hear heard heart heat heavy held hello help her
here herself hey high hill him himself his history hit hold hole home honest honey hope horse hospital hot hour house
how huge hundred hungry hurry hurt husband i ice idea if ignore imagine important in indeed inside instead interest into
is island it its itself job join joke joy jump just keep kept key kick kid kill kind king kiss kitchen knee knew knife
know lady lake land language large last late laugh law lay lazy lead leaf learn least leave left leg less let letter
lie life lift light like line lip list listen little live lonely long look lord lose loss lost lot loud love low luck
lucky lunch machine mad made mail main make man many map mark market marry married matter may maybe me meal mean meant
measure meat medicine meet member memory men mess message met middle might mile milk million mind mine minute miss
mistake mom moment monday money month moon more morning most mother mountain mouth move movie much music must my myself
name narrow nature near neck need neighbor neither nervous never new news next nice night nine no nobody noise none nor
normal north nose not note nothing notice now number ocean of off offer office often oh oil okay old on once one only
open or orange order other our out outside over own page paid pain paint pair paper pardon parent park part party pass
past pay peace pen people perfect perhaps person phone pick picture piece place plan plane plant play please pleasure
plenty pocket point police poor possible pour power present president press pretty price problem promise proud prove
public pull push put queen question quick quiet quite rain raise ran rather reach read ready real really reason receive
red remember remind rent repeat reply rest return rich ride right ring rise river road rock room round rule run rush sad
safe said salt same sand sat saturday save saw say scared school sea season seat second secret see seem seen sell send
sense sent serious serve set seven several shake shall shame shape share sharp she ship shirt shoe shop short shot
should shoulder shout show shut sick side sign silent silly silver simple since sing single sir sister sit six size skin
sky sleep slow small smart smell smile smoke smooth snow so soft sold soldier some somebody someone something sometimes
somewhere son song soon sorry sort sound soup south space speak special spend spoke spring stand star start state stay
step stick still stole stone stood stop store storm story straight strange street strong student study stuff stupid such
sudden sugar suit summer sun sunday support suppose sure surprise sweet swim table take talk tall taste teach teacher
tear tell ten terrible than thank thanks that the their them then there these they thick thin thing think third thirsty
this those though thought thousand three through throw thursday ticket tie till time tiny tired to today together told
tomorrow tonight too took tooth top total touch toward town train travel treat tree trip trouble true trust truth try
tuesday turn twelve twenty twice two ugly uncle under understand until up upon upset us use usual very village visit
voice wait wake walk wall want war warm was wash waste watch water wave way we weak wear weather wedding wednesday week
weird welcome well went were west wet what wheel when where whether which while whisper white who whole whom whose why
wide wife wild will win wind window wine winter wish with within without woke woman women won wonder wonderful wood word
wore work world worry worse worst worth would write wrong yard yeah year yellow yes yesterday yet you young your
yourself zero
"""
ENDINGS = "s es d ed er est ing ly y n t re ll ve m ness less ful able ment tion al en ish ity ies ier"


def pieces() -> list[str]:
    """The vocabulary: special tokens, letters, digits and marks alone and inside words, endings, and whole words."""
    single = [*string.digits, *string.ascii_lowercase]
    inside = [f"##{c}" for c in single] + [f"##{ending}" for ending in ENDINGS.split() if len(ending) > 1]
    words = sorted({*COMMON.split(), *vocabulary()} - set(single))
    return [*SPECIAL, *string.punctuation, *single, *inside, *words]


def make_tokenizer():
    """A BERT tokenizer over `pieces`: lower case, accents stripped, longest match first."""
    from transformers import BertTokenizer

    return BertTokenizer(vocab={piece: n for n, piece in enumerate(pieces())}, do_lower_case=True, model_max_length=512)
