"""What to cite for the weights of others, as BibTeX."""

CITATIONS = {
    "ast": """\
@inproceedings{gong21b_interspeech,
  author={Yuan Gong and Yu-An Chung and James Glass},
  title={{AST: Audio Spectrogram Transformer}},
  booktitle={Proc. Interspeech 2021}, pages={571--575}, year=2021,
  doi={10.21437/Interspeech.2021-698}}""",
    "ssast": """\
@inproceedings{gong2022ssast,
  author={Gong, Yuan and Lai, Cheng-I and Chung, Yu-An and Glass, James},
  title={{SSAST: Self-Supervised Audio Spectrogram Transformer}},
  booktitle={Proc. AAAI}, volume={36}, number={10}, pages={10699--10709},
  year={2022}}""",
    "passt": """\
@inproceedings{koutini22passt,
  author={Khaled Koutini and Jan Schl{\\"u}ter and Hamid Eghbal{-}zadeh and
          Gerhard Widmer},
  title={Efficient Training of Audio Transformers with Patchout},
  booktitle={Proc. Interspeech 2022}, pages={2753--2757}, year={2022},
  doi={10.21437/Interspeech.2022-227}}""",
    "hts_at": """\
@inproceedings{htsat-ke2022,
  author={Ke Chen and Xingjian Du and Bilei Zhu and Zejun Ma and
          Taylor Berg-Kirkpatrick and Shlomo Dubnov},
  title={HTS-AT: A Hierarchical Token-Semantic Audio Transformer for Sound
         Classification and Detection},
  booktitle={Proc. ICASSP}, year={2022}}""",
    "clap": """\
@inproceedings{laionclap2023,
  author={Yusong Wu and Ke Chen and Tianyu Zhang and Yuchen Hui and
          Taylor Berg-Kirkpatrick and Shlomo Dubnov},
  title={Large-scale Contrastive Language-Audio Pretraining with Feature
         Fusion and Keyword-to-Caption Augmentation},
  booktitle={Proc. ICASSP}, year={2023}}""",
    "deit": """\
@inproceedings{touvron2021training,
  author={Hugo Touvron and Matthieu Cord and Matthijs Douze and
          Francisco Massa and Alexandre Sablayrolles and Herv{\\'e} J{\\'e}gou},
  title={Training data-efficient image transformers and distillation through
         attention},
  booktitle={Proc. ICML}, year={2021}}""",
    "vit": """\
@inproceedings{dosovitskiy2021image,
  author={Alexey Dosovitskiy and others},
  title={An Image is Worth 16x16 Words: Transformers for Image Recognition at
         Scale},
  booktitle={Proc. ICLR}, year={2021}}""",
    "dinov2": """\
@article{oquab2024dinov2,
  author={Maxime Oquab and others},
  title={{DINO}v2: Learning Robust Visual Features without Supervision},
  journal={Transactions on Machine Learning Research}, year={2024}}""",
    "dinov2_registers": """\
@inproceedings{darcet2024vision,
  author={Timoth{\\'e}e Darcet and Maxime Oquab and Julien Mairal and
          Piotr Bojanowski},
  title={Vision Transformers Need Registers},
  booktitle={Proc. ICLR}, year={2024}}""",
    "whisper": """\
@misc{radford2022whisper,
  author={Alec Radford and Jong Wook Kim and Tao Xu and Greg Brockman and
          Christine McLeavey and Ilya Sutskever},
  title={Robust Speech Recognition via Large-Scale Weak Supervision},
  year={2022}, eprint={2212.04356}, archivePrefix={arXiv}}""",
    "kwt": """\
@inproceedings{berg21_interspeech,
  author={Axel Berg and Mark O'Connor and Miguel Tairum Cruz},
  title={Keyword Transformer: A Self-Attention Model for Keyword Spotting},
  booktitle={Proc. Interspeech 2021}, year={2021}}""",
}
